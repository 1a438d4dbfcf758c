"""Check a campaign's inputs before a run spends minutes on making them ready."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_energy.inputs import hub
from llm_energy.inputs.checksums import read_marker
from llm_energy.inputs.environment import check_packages, installed_packages, own_interpreter
from llm_energy.inputs.recipes import InputPlans, Plan
from llm_energy.inputs.token_length import Room
from llm_energy.system.cache import environment_marker, prompts_marker
from llm_energy.system.errors import InputError, ModelError

if TYPE_CHECKING:
    import docker

IN_IMAGES = ("build", "image")
"""Kinds of plans for environments in images."""


def obstacles(plans: InputPlans, *, cache: Path) -> list[str]:
    """Return one line for each input that cannot be made ready, or is no longer what it was.

    Args:
        cache: the folder `.cache`; what is ready there is not checked again.
    """
    lines = [line for check in _checks(plans, cache) for line in _refusal(check)]
    images = {name: p for name, p in plans.environments.items() if p["kind"] in IN_IMAGES}
    return [*lines, *image_obstacles(images, cache=cache)] if images else lines


def image_obstacles(plans: Mapping[str, Plan], *, cache: Path) -> list[str]:
    """Return one line for each image that cannot be had, or one if Docker does not answer.

    No registry is asked.

    Args:
        plans: of the environments in images, by the name of their folder in the cache.
    """
    from llm_energy.inputs.image import docker_engine  # the Docker client

    try:
        with docker_engine() as client:
            checks = [
                partial(check_image, client, plan, environment_marker(name, cache))
                for name, plan in plans.items()
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
    """Check that prompts made ready by another campaign fit this one too."""
    Room(**plan["room"]).check(read_marker(marker)["input_tokens"]["maximum"])


def check_interpreter(plan: Plan) -> None:
    """Check that the user's interpreter works and has the pinned packages."""
    environment = own_interpreter(plan["python"], plan["backend"])
    declared = plan["identity"]["packages_sha256"]
    check_packages(environment["python"], installed_packages(environment), declared=declared)


def check_venv(marker: Path) -> None:
    """Check that an environment that was made ready is still there."""
    python = read_marker(marker)["python"]
    if not Path(python).exists():
        raise InputError(f"{python} is gone; remove {marker} and start the same command again")


def check_source(plan: Plan, folder: Path) -> None:
    """Check that a model can be had: a local one exists, a gated one is open to this user."""
    source = plan["source"]
    if "path" in source and not Path(source["path"]).exists():
        raise ModelError(f"model path {source['path']} does not exist; correct `path`")
    started = (folder / hub.LISTING).exists()  # access was proven then, and no network may be now
    if "hub" in source and not started:
        hub.check_access(source["hub"], plan["identity"]["revision"])


def check_image(client: "docker.DockerClient", plan: Plan, marker: Path) -> None:
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
                f"the image {ready['reference']} of backend {plan['backend']} is gone from this "
                f"machine; remove {marker} and start the same command again"
            )
    elif find_image(client, plan) is None:
        if plan["kind"] == "image":
            check_has_name(plan)
        elif plan["base"] == DEBIAN and images.find(client, debian_tag(plan["identity"])) is None:
            check_can_be_made()
