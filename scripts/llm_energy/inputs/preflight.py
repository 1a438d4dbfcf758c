"""What can be known of a campaign's inputs before a run spends minutes on making them."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from llm_energy.inputs import hub
from llm_energy.inputs.environment import check_packages, installed_packages
from llm_energy.inputs.errors import InputError, ModelError
from llm_energy.inputs.plan import InputPlans, Plan


def obstacles(plans: InputPlans, *, cache: Path) -> list[str]:
    """One line for each input that cannot be made ready, or is no longer what it was.

    Args:
        cache: the folder `.cache`; what is ready there is not asked for again.
    """
    return [line for check in _checks(plans, cache) if (line := _told(check)) is not None]


def _told(check: Callable[[], Any]) -> str | None:
    try:
        check()
    except InputError as error:
        return str(error)
    return None


def _checks(plans: InputPlans, cache: Path) -> Iterator[Callable[[], Any]]:
    for plan in plans.environments.values():
        if plan["python"] is not None:
            yield partial(check_interpreter, plan)
    for name, plan in plans.models.items():
        folder = cache / "models" / name
        if not (folder / "ready.json").exists():
            yield partial(check_source, plan, folder)


def check_interpreter(plan: Plan) -> None:
    """Whether the user's interpreter works and has the packages that are pinned."""
    python = Path(plan["python"]).absolute()
    if not python.is_file():
        raise InputError(f"{python}: no such interpreter; correct backends.{plan['backend']}")
    declared = plan["identity"]["packages_sha256"]
    check_packages(python, installed_packages(python), declared=declared)


def check_source(plan: Plan, folder: Path) -> None:
    """Whether a model can be had: a local one is there, a gated one is open to this user."""
    source = plan["source"]
    if "path" in source and not Path(source["path"]).exists():
        raise ModelError(f"model path {source['path']} does not exist; correct `path`")
    started = (folder / hub.LISTING).exists()  # access was proven then, and no network may be now
    if "hub" in source and not started:
        hub.check_access(source["hub"], plan["identity"]["revision"])
