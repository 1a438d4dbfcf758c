"""A run with a real container, for the tests of what is done in it."""

import json
from pathlib import Path

import pytest
from tests.integration.docker import containers_of

from llm_energy.backends import running
from llm_energy.backends.runtime import ContainerSettings, DeclaredBackend, ReadyEnvironment
from llm_energy.campaign.backend_settings import Container
from llm_energy.runs import lease
from llm_energy.runs.run import Run
from llm_energy.system.cache import environment_marker

ROOT = Path(__file__).parents[3]


@pytest.fixture
def run(tmp_path, monkeypatch, engine, debian):
    """A run with one backend in a container; its supervisor needs Python and nothing else."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".cache/models").mkdir(parents=True)
    marker = environment_marker("bare")
    marker.parent.mkdir(parents=True)
    ready = ReadyEnvironment(
        python="/usr/bin/python3",
        python_version="3",
        engine_version="0",
        packages={},
        environment_hash="0",
        image=engine.images.get(debian).id,
        reference=debian,
    )
    marker.write_text(json.dumps(vars(ready) | {"kind": "image"}))
    run = Run.create(campaign="c", results=Path("results/c"), scripts=ROOT / "scripts")
    declared = DeclaredBackend(
        name="bare",
        runtime="docker",
        environment_id="bare",
        container=ContainerSettings(**Container().model_dump()),
        readable=(str(tmp_path / ".cache/models"),),
    )
    run.write("declared/bare", declared)
    # The run's own watchdog must not be quicker than the healer under test.
    monkeypatch.setattr(running, "ensure_watchdog", lambda run: lease.renew(run.lease))
    monkeypatch.setattr("llm_energy.runs.lease.LEASE_S", 600.0)
    lease.renew(run.lease)
    yield run
    running.end_run(run)
    assert containers_of(run.run_id) == []
