"""The base image `debian`, which is made on this machine from Debian's packages."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import docker
from docker.models.images import Image

from llm_energy.campaign.identity import DEBIAN_RECIPE, HASH_LENGTH
from llm_energy.containers.engine import host
from llm_energy.containers.images import find
from llm_energy.inputs.checksums import alone
from llm_energy.system.errors import InputError

DEBIAN = "debian"
"""Its name in `backends.{backend}.base`."""


def debian_tag(identity: Mapping[str, str]) -> str:
    """The tag that the recipe gives to its image.

    Args:
        identity: of an environment that is built on it.
    """
    digits = identity["base"].removeprefix(f"{DEBIAN}:")
    return f"llm-energy/debian:{digits[:HASH_LENGTH]}"


def debian_base(client: docker.DockerClient, tag: str, *, root: Path, log: Path) -> Image:
    """Have the base image `debian`, making it first if need be (about a minute)."""
    with alone(Path(DEBIAN)):
        image = find(client, tag)
        if image is None:
            check_can_be_made()
            make(root, log=log)
            image = find(client, tag)
    if image is None:
        raise InputError(f"{DEBIAN_RECIPE} made no image {tag}; log: {log}")
    return image


def check_can_be_made() -> None:
    """Check that this user can make the base image on this machine."""
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    for tool, package in (("debootstrap", "debootstrap"), ("docker", "docker.io")):
        if shutil.which(tool, path=path) is None:
            remedy = f"sudo apt-get install -y {package}"
            raise InputError(f"base: debian is made with {tool}, which is missing: {remedy}")
    if os.geteuid() != 0:
        raise InputError(f"base: debian has to be made by root, once: sudo {DEBIAN_RECIPE}")


def make(root: Path, *, log: Path) -> None:
    """Run the recipe."""
    with log.open("ab") as output:
        done = subprocess.run(
            [str(root / DEBIAN_RECIPE)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "DOCKER_HOST": host()},
            check=False,
        )
    if done.returncode != 0:
        last = log.read_text(errors="replace").strip().splitlines()[-1:]
        raise InputError(f"{DEBIAN_RECIPE} failed: {' '.join(last)} (log: {log})")
