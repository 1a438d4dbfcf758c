"""Fixtures for tests of what is made ready before a measurement."""

import os
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from boxes import ROOT
from hub_server import hub_server
from tests.integration.docker import require_docker

from llm_energy.config.identity import base_identity
from llm_energy.containers.engine import connect
from llm_energy.inputs.base_image import debian_base, debian_tag
from llm_energy.inputs.errors import InputError

__all__ = ["hub_server"]


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the only place where pip finds packages."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return folder


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A rule's log file."""
    return tmp_path / "rule.log"


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    """A connection to the real Docker engine."""
    require_docker()
    client = connect()
    yield client
    client.close()


@pytest.fixture(scope="session")
def debian(engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The base image `debian` by its tag; made once on a machine, and kept."""
    tag = debian_tag(base_identity(ROOT, "debian"))
    try:
        debian_base(engine, tag, root=ROOT, log=tmp_path_factory.mktemp("base") / "log")
    except InputError as error:
        if os.environ.get("REQUIRE_DOCKER"):
            raise
        pytest.skip(str(error))
    return tag
