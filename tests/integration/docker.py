"""The real Docker engine in tests: whether there is one, and what of ours it holds."""

import os
from pathlib import Path

import pytest

from llm_energy.containers.engine import LABEL, DockerError, connect


def require_docker() -> None:
    """Skip without a Docker engine; fail where the caller's environment says there must be one."""
    try:
        connect().close()
    except DockerError as error:
        if os.environ.get("REQUIRE_DOCKER"):
            pytest.fail(str(error))
        pytest.skip(str(error))


def containers_of(run_id: str) -> list[str]:
    """Names of all containers of a run, in whatever state."""
    client = connect()
    try:
        found = client.containers.list(all=True, filters={"label": f"{LABEL}.run={run_id}"})
        return [container.name for container in found]
    finally:
        client.close()


def containers_below(folder: Path) -> list[str]:
    """Names of all containers that have a file of `folder` mounted: those of a checkout."""
    client = connect()
    try:
        return [
            container.name
            for container in client.containers.list(all=True)
            if any(mount["Source"].startswith(f"{folder}/") for mount in container.attrs["Mounts"])
        ]
    finally:
        client.close()
