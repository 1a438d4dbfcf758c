"""What can be known of a campaign's images before a run begins: no network is asked, 0.05 s."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import docker

from llm_energy.containers import images
from llm_energy.inputs.base_image import DEBIAN, check_can_be_made, debian_tag
from llm_energy.inputs.checksums import read_marker
from llm_energy.inputs.image import check_has_name, docker_engine, find_image
from llm_energy.inputs.recipes import Plan
from llm_energy.system.cache import environment_marker
from llm_energy.system.errors import InputError


def image_obstacles(plans: Mapping[str, Plan], *, cache: Path) -> Iterator[str]:
    """One line for each image that cannot be had, or one if the Docker engine cannot be asked.

    Args:
        plans: of the environments in images, by the name of their folder in the cache.
    """
    try:
        with docker_engine() as client:
            for name, plan in plans.items():
                try:
                    check_image(client, plan, environment_marker(name, cache))
                except InputError as error:
                    yield str(error)
    except InputError as error:
        yield str(error)


def check_image(client: docker.DockerClient, plan: Plan, marker: Path) -> None:
    """Whether an image is there, or may become so.

    Raises:
        InputError: neither; with the remedy.
    """
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
