"""A container that lives and does not answer is restarted; one that is gone is recreated."""

import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
from tests.integration.docker import containers_of, require_docker

from llm_energy.backends import healing, registry
from llm_energy.backends.runtime import runtime_named
from llm_energy.cache import environment_marker
from llm_energy.config.identity import base_identity
from llm_energy.config.model import Container
from llm_energy.containers.engine import connect
from llm_energy.inputs.base_image import debian_base, debian_tag
from llm_energy.runs import Run

ROOT = Path(__file__).parents[3]
PATIENCE_S = 60.0


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run with one backend in a container; its supervisor needs Python and nothing else."""
    require_docker()
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".cache/models").mkdir(parents=True)
    client = connect()
    try:
        tag = debian_tag(base_identity(ROOT, "debian"))
        image = debian_base(client, tag, root=ROOT, log=tmp_path / "log")
    finally:
        client.close()
    marker = environment_marker("bare")
    marker.parent.mkdir(parents=True)
    ready = {"kind": "image", "image": image.id, "reference": tag, "python": "/usr/bin/python3"}
    marker.write_text(json.dumps(ready))
    run = Run.create(
        campaign="c", results=Path("results/c"), scripts=ROOT / "scripts", host_facts={}
    )
    registry.declare_backend(
        run,
        "bare",
        runtime="docker",
        environment_id="bare",
        container=Container().model_dump(mode="json"),
        readable=[str(tmp_path / ".cache/models")],
    )
    # The run's own watchdog must not be quicker than the healer under test.
    monkeypatch.setattr(registry, "ensure_watchdog", lambda run: run.renew_lease())
    monkeypatch.setattr("llm_energy.runs.LEASE_S", 600.0)
    run.renew_lease()
    yield run
    registry.end_run(run)
    assert containers_of(run.run_id) == []


@pytest.fixture
def healer(run, monkeypatch):
    monkeypatch.setattr(healing, "LOOK_S", 0.2)
    monkeypatch.setattr(healing, "QUESTION_S", 0.5)
    record = registry.ensure_backend(run, "bare")
    threading.Thread(target=healing.Healer(run).look_after, daemon=True).start()
    return record


def wait_for_event(run):
    deadline = time.monotonic() + PATIENCE_S
    while not (events := list(run.events())):
        assert time.monotonic() < deadline, "nothing was healed"
        time.sleep(0.1)
    return events[0]


def answers(record):
    with registry.connect(record) as session:
        return session.peer["event"] == "hello"


def supervisor_of(record):
    pids = runtime_named("docker").processes(record)
    return max(pids)  # the init process was there before it


def test_a_hung_supervisor_is_restarted_in_its_container(run, healer):
    os.kill(supervisor_of(healer), signal.SIGSTOP)
    event = wait_for_event(run)
    assert (event["kind"], event["backend"]) == ("backend_restarted", "bare")
    assert "no answer to `hello`" in event["reason"]
    assert registry.known_backend(run, "bare") == healer
    assert answers(healer)


def test_a_container_that_is_gone_is_recreated(run, healer):
    time.sleep(1.0)  # the healer listens by now
    subprocess.run(["docker", "kill", healer.handle["container"]], check=True)
    event = wait_for_event(run)
    assert (event["kind"], event["backend"]) == ("backend_recreated", "bare")
    assert event["reason"] == "its container ended with exit code 137"
    recreated = registry.known_backend(run, "bare")
    assert recreated.handle["container"] != healer.handle["container"]
    assert answers(recreated)


def test_nobody_is_asked_beside_a_measurement(run, monkeypatch):
    record = registry.ensure_backend(run, "bare")
    asked = []
    monkeypatch.setattr(healing, "connect", asked.append)
    with run.measuring_lock.open("w") as lock:
        import fcntl

        fcntl.flock(lock, fcntl.LOCK_EX)
        healing.Healer(run)._ask(record)
    assert asked == []
