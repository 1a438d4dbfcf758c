"""Check each environment of a campaign: ready, to be made, or why it cannot be."""

from pathlib import Path
from typing import Any

from llm_energy.inputs.checksums import read_marker
from llm_energy.inputs.recipes import EnvironmentRecipe, Recipes
from llm_energy.preflight.findings import Finding
from llm_energy.preflight.obstacles import obstacles
from llm_energy.system.cache import environment_marker


def environment_finding(
    name: str, recipe: EnvironmentRecipe, *, root: Path, cache: Path
) -> Finding:
    """Check one environment; nothing is made.

    Args:
        name: of its folder in the cache.
        root: the checkout, with envs/.
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
