"""Images of a Docker engine: found by what they are, built from a context, or pulled."""

import contextlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import docker
from docker.errors import ImageNotFound
from docker.models.images import Image

from llm_energy.containers.engine import LABEL, DockerError, docker_errors

BUILD_SILENCE_S = 3600.0
"""How long a build may say nothing: pip does while it unpacks gigabytes."""

STEP = re.compile(r"^(?:\[\d+/\d+\] )?(?:Step|STEP) \d+/\d+ ?: FROM ", re.MULTILINE)
MADE = re.compile(r"^ ?-{2,3}> (?:Using cache )?([0-9a-f]{11,64})$", re.MULTILINE)
"""Printed by a build of Docker and of Podman at the start of a stage, and for the image that each
step made."""

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
"""The engine prints in red what a step writes on stderr."""


class BuildError(DockerError):
    """A build failed; `output` is what it printed."""

    def __init__(self, message: str, output: str) -> None:
        super().__init__(message)
        self.output = output


def find(client: docker.DockerClient, reference: str) -> Image | None:
    """The image of a tag, digest or id, if the engine has it."""
    with docker_errors():
        try:
            return client.images.get(reference)
        except ImageNotFound:
            return None


def labels_of(image: Image) -> dict[str, str]:
    """Labels that this workflow gave to an image, without their common beginning."""
    prefix = f"{LABEL}."
    labels = image.labels.items()
    return {k.removeprefix(prefix): v for k, v in labels if k.startswith(prefix)}


def pull(client: docker.DockerClient, reference: str, *, log: Path) -> Image:
    """Have an image by tag or digest from its registry."""
    with docker_errors(), log.open("a") as file:
        for line in client.api.pull(reference, stream=True, decode=True):
            if "error" in line:
                raise DockerError(" ".join(str(line["error"]).split()))
            if "progressDetail" not in line or not line["progressDetail"]:
                layer = f"{line['id']}: " if "id" in line else ""
                print(f"{layer}{line.get('status', '')}", file=file, flush=True)
        return client.images.get(reference)


def build(
    client: docker.DockerClient,
    context: IO[bytes],
    *,
    tag: str,
    labels: Mapping[str, str],
    arguments: Mapping[str, str],
    log: Path,
) -> Image:
    """Build an image from a context, a tar file, and drop what else the build made.

    Raises:
        BuildError: a step failed.
        DockerError: the engine refused.
    """
    output: list[str] = []
    try:
        with docker_errors(), log.open("a") as file:
            for line in client.api.build(
                fileobj=context,
                custom_context=True,
                tag=tag,
                labels={f"{LABEL}.{key}": value for key, value in labels.items()},
                buildargs=dict(arguments),
                rm=True,
                forcerm=True,
                decode=True,
                timeout=BUILD_SILENCE_S,
            ):
                text = COLOUR.sub("", str(line.get("stream") or line.get("error") or ""))
                output.append(text)
                file.write(text)
                file.flush()
                if "error" in line:
                    raise BuildError(" ".join(text.split()), "".join(output))
            return client.images.get(tag)
    finally:
        drop_stages(client, "".join(output))


def drop_stages(client: docker.DockerClient, output: str) -> None:
    """Remove the stages that a build made on the way: they hold copies of packages and pip's
    settings, and nothing needs them any more.

    Args:
        output: what the build printed.
    """
    for stage in STEP.split(output):
        made = MADE.findall(stage)
        if made:
            with contextlib.suppress(DockerError), docker_errors():
                image = client.images.get(made[-1])
                if not image.tags:
                    client.images.remove(image.id)
