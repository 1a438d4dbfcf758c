"""Images that engines run in: built from a folder of envs/, or somebody's own."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import docker
from docker.models.images import Image

from llm_energy.campaign.identity import DEFINING_FILES, short_hash
from llm_energy.containers import images
from llm_energy.containers.engine import DockerError, connect
from llm_energy.inputs.base_image import DEBIAN, debian_base, debian_tag
from llm_energy.inputs.build_context import pip_settings, write_context
from llm_energy.inputs.interpreter import Environment, place_of, run_python
from llm_energy.inputs.packages import NO_MESSAGE, explain
from llm_energy.inputs.recipes import EnvironmentRecipe
from llm_energy.system.errors import InputError
from llm_energy.system.files import sha256_of
from llm_energy.system.vocabulary import DOCKER

DEFAULT_BASE = re.compile(r"^ARG BASE=(\S+)", re.MULTILINE)
"""Where a Dockerfile names the image that it is built on."""

START_S = 60.0
"""Deadline for an interpreter to start in an image that was never used before."""


@contextmanager
def docker_engine() -> Iterator[docker.DockerClient]:
    """A connection to the Docker engine; what it refuses is an InputError."""
    try:
        with closing(connect()) as client:
            yield client
    except DockerError as error:
        raise InputError(str(error)) from error


def prepare_image(
    recipe: EnvironmentRecipe, *, root: Path, target: Path, log: Path
) -> dict[str, Any]:
    """Have the image of a backend on this machine; return the content of its marker."""
    with docker_engine() as client:
        image = find_image(client, recipe)
        if image is None and recipe.kind == "image":
            image = pulled(client, recipe, log=log)
        if image is None:
            image = built(client, recipe, root=root, target=target, log=log)
    labels = images.labels_of(image)
    digests = image.attrs.get("RepoDigests") or [None]
    content = {
        "kind": "image",
        "device": recipe.device,
        "image": image.id,
        "reference": reference_of(recipe),
        # Podman gives a digest to what was never in a registry.
        "repo_digest": digests[0] if recipe.kind == "image" else None,
        "base": labels.get("base"),
        "base_image": labels.get("base-image"),
        "python": recipe.python,
    }
    return content | {"python": interpreter_in(content, recipe, log=log)}


def interpreter_in(environment: Environment, recipe: EnvironmentRecipe, *, log: Path) -> str:
    """The absolute path of an image's interpreter."""
    code = ["-c", "import sys; print(sys.executable)"]
    key = f"backends.{recipe.backend}.environment.python"
    try:
        done = run_python(environment, code, deadline_s=START_S, log=log)
    except InputError as error:
        if "executable file not found" not in str(error) and "no such file" not in str(error):
            raise
        message = f"{environment['reference']} has no {environment['python']}"
        raise InputError(f"{message}; name its interpreter in {key}") from error
    if done.returncode != 0:
        raise InputError(f"{place_of(environment)} is no Python that works; correct {key}")
    return done.stdout.decode().strip()


def reference_of(recipe: EnvironmentRecipe) -> str:
    """Return the user's name of the image."""
    if recipe.kind == "image":
        return recipe.image
    return f"llm-energy/{recipe.backend}:{short_hash(recipe.identity)}"


def find_image(client: docker.DockerClient, recipe: EnvironmentRecipe) -> Image | None:
    """Find the image of an environment on this machine; None if it is not there.

    One that was built has the tag and the label: others built on it inherit the label, and anybody
    can give a tag.
    """
    if recipe.kind == "build":
        image = images.find(client, reference_of(recipe))
        label = images.labels_of(image).get("environment") if image else None
        return image if label == sha256_of(recipe.identity) else None
    name, _, digest = recipe.image.rpartition("@")
    return (images.find(client, recipe.image) if name else None) or images.find(client, digest)


def pulled(client: docker.DockerClient, recipe: EnvironmentRecipe, *, log: Path) -> Image:
    """Pull the user's image."""
    check_has_name(recipe)
    try:
        return images.pull(client, recipe.image, log=log)
    except DockerError as error:
        key = f"backends.{recipe.backend}.environment.image"
        message = f"{key}: {recipe.image} is not on this machine and cannot be pulled: {error}"
        raise InputError(message) from error


def check_has_name(recipe: EnvironmentRecipe) -> None:
    """Check that an image that is not on this machine could be pulled: a bare id cannot."""
    if "@" not in recipe.image:
        key = f"backends.{recipe.backend}.environment.image"
        raise InputError(
            f"{key}: this machine has no image {recipe.image}; load it (docker load), or give "
            "NAME@sha256:..., which can be pulled"
        )


def built(
    client: docker.DockerClient, recipe: EnvironmentRecipe, *, root: Path, target: Path, log: Path
) -> Image:
    """Build an image from its folder."""
    files = [root / recipe.folder / name for name in DEFINING_FILES[DOCKER]]
    files = [path for path in files if path.is_file()]
    labels = {"backend": recipe.backend, "environment": sha256_of(recipe.identity)}
    arguments = {}
    name = base_name(recipe, files[0].read_text(encoding="utf-8"))
    if name is not None:
        arguments["BASE"] = debian_tag(recipe.identity) if name == DEBIAN else name
        base = base_image(client, recipe, name, root=root, log=log)
        labels |= {"base": name, "base-image": str(base.id)}
    with tempfile.TemporaryFile(dir=target) as context:
        write_context(context, files, pip_settings())
        context.seek(0)
        try:
            return images.build(
                client,
                context,
                tag=reference_of(recipe),
                labels=labels,
                arguments=arguments,
                log=log,
            )
        except DockerError as error:
            output = error.output if isinstance(error, images.BuildError) else ""
            why = explain_build(str(error), output)
            message = f"building {recipe.folder}/Dockerfile failed: {why} (log: {log})"
            raise InputError(message) from error


def base_name(recipe: EnvironmentRecipe, dockerfile: str) -> str | None:
    """The image to build on: declared, or the Dockerfile's own; None if it names none."""
    default = DEFAULT_BASE.search(dockerfile)
    if recipe.base is not None and default is None:
        raise InputError(
            f"{recipe.folder}/Dockerfile has no line `ARG BASE=IMAGE`, so "
            f"backends.{recipe.backend}.base cannot be followed; add the line, or drop the key"
        )
    return recipe.base or (default[1] if default else None)


def base_image(
    client: docker.DockerClient, recipe: EnvironmentRecipe, name: str, *, root: Path, log: Path
) -> Image:
    """Have the image to build on."""
    if name == DEBIAN:
        return debian_base(client, debian_tag(recipe.identity), root=root, log=log)
    try:
        return images.find(client, name) or images.pull(client, name, log=log)
    except DockerError as error:
        key = f"backends.{recipe.backend}.base"
        debian = "requirements.txt" in recipe.identity
        raise InputError(
            f"the base image {name} of {recipe.folder}/Dockerfile is not on this machine and "
            f"cannot be pulled: {error}; name a copy of it in {key}"
            + (", or `debian`, which is made here" if debian else "")
        ) from error


def explain_build(message: str, output: str) -> str:
    """Why a step failed, from the output of a build by Docker or Podman."""
    step = re.split(r"^(?:\[\d+/\d+\] )?(?:Step|STEP) \d+/\d+ ?: ", output, flags=re.M)[-1]
    if "no space left on device" in output.lower():
        return "no space left on the disk of the Docker engine"
    if "non-zero code" not in message and "while running runtime: exit status" not in message:
        return message
    if " pip " in step and (why := explain(step)) != NO_MESSAGE:
        return why
    printed = [line.strip() for line in step.replace(message, "").splitlines() if line.strip()]
    errors = [line for line in printed if line.startswith(("E: ", "ERROR: "))]
    return [message, *printed[1:], *errors][-1]
