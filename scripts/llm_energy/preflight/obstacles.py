"""Check a campaign's inputs before a run spends minutes on making them ready."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_energy.campaign.declared_inputs import HubSource, PathSource
from llm_energy.inputs import hub
from llm_energy.inputs.checksums import read_marker
from llm_energy.inputs.environment import check_packages, installed_packages, own_interpreter
from llm_energy.inputs.recipes import EnvironmentRecipe, ModelRecipe, PromptsRecipe, Recipes
from llm_energy.system.cache import environment_marker, prompts_marker
from llm_energy.system.errors import InputError, ModelError

if TYPE_CHECKING:
    import docker


def obstacles(recipes: Recipes, *, cache: Path) -> list[str]:
    """Return one line for each input that cannot be made ready, or is no longer what it was.

    Args:
        cache: the folder `.cache`; what is ready there is not checked again.
    """
    lines = [line for check in _checks(recipes, cache) for line in _refusal(check)]
    images = {name: p for name, p in recipes.environments.items() if p.in_image}
    return [*lines, *image_obstacles(images, cache=cache)] if images else lines


def image_obstacles(recipes: Mapping[str, EnvironmentRecipe], *, cache: Path) -> list[str]:
    """Return one line for each image that cannot be had, or one if Docker does not answer.

    No registry is asked.

    Args:
        recipes: of the environments in images, by the name of their folder in the cache.
    """
    from llm_energy.inputs.image import docker_engine  # the Docker client

    try:
        with docker_engine() as client:
            checks = [
                partial(check_image, client, recipe, environment_marker(name, cache))
                for name, recipe in recipes.items()
            ]
            return [line for check in checks for line in _refusal(check)]
    except InputError as error:
        return [str(error)]


def _refusal(check: Callable[[], Any]) -> list[str]:
    """Run a check; return its message in a list, empty if it passes."""
    try:
        check()
    except InputError as error:
        return [str(error)]
    return []


def _checks(recipes: Recipes, cache: Path) -> Iterator[Callable[[], Any]]:
    for name, recipe in recipes.environments.items():
        if recipe.kind == "interpreter":
            yield partial(check_interpreter, recipe)
        if recipe.kind == "venv" and environment_marker(name, cache).exists():
            yield partial(check_venv, environment_marker(name, cache))
    for name, model in recipes.models.items():
        folder = cache / "models" / name
        if not (folder / "ready.json").exists():
            yield partial(check_source, model, folder)
    for name, prompts in recipes.prompts.items():
        if prompts_marker(name, cache).exists():
            yield partial(check_room, prompts, prompts_marker(name, cache))


def check_room(recipe: PromptsRecipe, marker: Path) -> None:
    """Check that prompts made ready by another campaign fit this one too."""
    recipe.room.check(read_marker(marker)["input_tokens"]["maximum"])


def check_interpreter(recipe: EnvironmentRecipe) -> None:
    """Check that the user's interpreter works and has the pinned packages."""
    environment = own_interpreter(recipe.python, recipe.backend)
    declared = recipe.identity["packages_sha256"]
    check_packages(environment["python"], installed_packages(environment), declared=declared)


def check_venv(marker: Path) -> None:
    """Check that an environment that was made ready is still there."""
    python = read_marker(marker)["python"]
    if not Path(python).exists():
        raise InputError(f"{python} is gone; remove {marker} and start the same command again")


def check_source(recipe: ModelRecipe, folder: Path) -> None:
    """Check that a model can be had: a local one exists, a gated one is open to this user."""
    source = recipe.source
    if isinstance(source, PathSource) and not Path(source.path).exists():
        raise ModelError(f"model path {source.path} does not exist; correct `path`")
    started = (folder / hub.LISTING).exists()  # access was proven then, and no network may be now
    if isinstance(source, HubSource) and not started:
        hub.check_access(source.hub, recipe.identity["revision"])


def check_image(client: "docker.DockerClient", recipe: EnvironmentRecipe, marker: Path) -> None:
    """Check that an image is there, or may become so.

    Raises:
        InputError: neither; with the remedy.
    """
    from llm_energy.containers import images
    from llm_energy.inputs.base_image import DEBIAN, check_can_be_made, debian_tag
    from llm_energy.inputs.image import check_has_name, find_image

    if marker.exists():
        ready = read_marker(marker)
        if images.find(client, ready["image"]) is None:
            raise InputError(
                f"the image {ready['reference']} of backend {recipe.backend} is gone from this "
                f"machine; remove {marker} and start the same command again"
            )
    elif find_image(client, recipe) is None:
        if recipe.kind == "image":
            check_has_name(recipe)
        elif recipe.base == DEBIAN and images.find(client, debian_tag(recipe.identity)) is None:
            check_can_be_made()
