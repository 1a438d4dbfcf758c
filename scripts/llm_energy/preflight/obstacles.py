"""What can be known of a campaign's inputs before a run spends minutes on making them."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from llm_energy.inputs import hub
from llm_energy.inputs.checksums import read_marker
from llm_energy.inputs.environment import check_packages, installed_packages, own_interpreter
from llm_energy.inputs.recipes import InputPlans, Plan
from llm_energy.inputs.token_length import Room
from llm_energy.system.cache import environment_marker, prompts_marker
from llm_energy.system.errors import InputError, ModelError

IN_IMAGES = ("build", "image")
"""Kinds of plans for environments in images."""


def obstacles(plans: InputPlans, *, cache: Path) -> list[str]:
    """One line for each input that cannot be made ready, or is no longer what it was.

    Args:
        cache: the folder `.cache`; what is ready there is not asked for again.
    """
    lines = [line for check in _checks(plans, cache) if (line := _told(check)) is not None]
    images = {name: p for name, p in plans.environments.items() if p["kind"] in IN_IMAGES}
    if images:
        from llm_energy.preflight.image_obstacles import image_obstacles  # imports Docker

        lines += image_obstacles(images, cache=cache)
    return lines


def _told(check: Callable[[], Any]) -> str | None:
    try:
        check()
    except InputError as error:
        return str(error)
    return None


def _checks(plans: InputPlans, cache: Path) -> Iterator[Callable[[], Any]]:
    for name, plan in plans.environments.items():
        if plan["kind"] == "interpreter":
            yield partial(check_interpreter, plan)
        if plan["kind"] == "venv" and environment_marker(name, cache).exists():
            yield partial(check_venv, environment_marker(name, cache))
    for name, plan in plans.models.items():
        folder = cache / "models" / name
        if not (folder / "ready.json").exists():
            yield partial(check_source, plan, folder)
    for name, plan in plans.prompts.items():
        if prompts_marker(name, cache).exists():
            yield partial(check_room, plan, prompts_marker(name, cache))


def check_room(plan: Plan, marker: Path) -> None:
    """Whether prompts that are ready, as another campaign may have left them, fit this one too."""
    Room(**plan["room"]).check(read_marker(marker)["input_tokens"]["maximum"])


def check_interpreter(plan: Plan) -> None:
    """Whether the user's interpreter works and has the packages that are pinned."""
    environment = own_interpreter(plan["python"], plan["backend"])
    declared = plan["identity"]["packages_sha256"]
    check_packages(environment["python"], installed_packages(environment), declared=declared)


def check_venv(marker: Path) -> None:
    """Whether an environment that was made ready is still there."""
    python = read_marker(marker)["python"]
    if not Path(python).exists():
        raise InputError(f"{python} is gone; remove {marker} and start the same command again")


def check_source(plan: Plan, folder: Path) -> None:
    """Whether a model can be had: a local one is there, a gated one is open to this user."""
    source = plan["source"]
    if "path" in source and not Path(source["path"]).exists():
        raise ModelError(f"model path {source['path']} does not exist; correct `path`")
    started = (folder / hub.LISTING).exists()  # access was proven then, and no network may be now
    if "hub" in source and not started:
        hub.check_access(source["hub"], plan["identity"]["revision"])
