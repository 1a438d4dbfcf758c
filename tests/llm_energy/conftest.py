"""Fixtures that the tests of several rooms share."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from tests.amd_smi_simulator.fixtures import amd_library, simulate_amd
from tests.integration.docker import require_docker
from tests.llm_energy import make_results
from tests.llm_energy.inputs.boxes import ROOT
from tests.llm_energy.inputs.hub_server import hub_server
from tests.llm_energy.inputs.packages import only_from
from tests.llm_energy.make_campaigns import make_checkout
from tests.nvml_simulator.fixtures import nvml_library, simulate
from tests.once import once

from llm_energy.analysis.aggregate import aggregate
from llm_energy.analysis.summary import Summary
from llm_energy.campaign.identity import base_identity
from llm_energy.containers.engine import connect
from llm_energy.inputs.base_image import debian_base, debian_tag
from llm_energy.system.errors import InputError

# NVML is the simulator's in all of these tests, whatever the machine has and whichever comes first.
__all__ = ["amd_library", "hub_server", "nvml_library", "simulate", "simulate_amd"]


@pytest.fixture
def summary_of(tmp_path: Path) -> Callable[..., Summary]:
    """Makes a synthetic campaign (see `make_results.make_campaign`) and aggregates it."""

    def make(**options: Any) -> Summary:
        told = {"reference": options.pop("reference", make_results.REFERENCE)}
        told |= {key: options.pop(key) for key in ("assumptions",) if key in options}
        planned = make_results.make_campaign(tmp_path, **options)
        design = make_results.design(cycles=options.get("cycles", 3), **told)
        return aggregate(tmp_path, planned=planned, design=design)

    return make


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with two made-up backends, `toy` (gguf) and `boxy` (hf). Not to be changed."""
    return make_checkout(tmp_path_factory.mktemp("checkout"))


@pytest.fixture
def own_root(tmp_path: Path) -> Path:
    """A checkout that a test may change."""
    return make_checkout(tmp_path / "checkout")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the only place where pip finds packages."""
    return only_from(tmp_path / "index", monkeypatch)


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

    def make() -> str:
        debian_base(engine, tag, root=ROOT, log=tmp_path_factory.mktemp("base") / "log")
        return tag

    try:
        return once(tmp_path_factory, "debian", make)
    except InputError as error:
        if os.environ.get("REQUIRE_DOCKER"):
            raise
        pytest.skip(str(error))
