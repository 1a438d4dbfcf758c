"""Measuring in containers: what may go wrong in one costs an attempt, and the next one is clean."""

import copy
import json
import os
import signal
import subprocess
import tarfile
from contextlib import contextmanager

import pytest

from llm_energy.results.result import read_result
from tests.integration.docker import containers_below, own_engine, require_docker
from tests.integration.workflow import CAMPAIGN, PATIENCE_S, finished, in_containers, wait_for

pytestmark = pytest.mark.integration

ONCE = {"fault_once_file": "/tmp/fault", "fault_after_waves": 2}
"""A fault happens in the first measurement that generates, and in no other of that container."""


@pytest.fixture(autouse=True)
def _docker():
    require_docker()


def faulty(options, *, memory="256m", **timing):
    """Four measurements, the first of which meets a fault."""
    campaign = copy.deepcopy(CAMPAIGN)
    campaign["measurement"] |= timing
    campaign["defaults"]["engine"] = {"sleep": {**ONCE, **options}}
    return in_containers(campaign, memory=memory)


@pytest.fixture
def tree(ready_in_containers, tmp_path):
    """A tree whose image is built."""
    return ready_in_containers.copy(tmp_path / "tree")


def measure(tree, campaign):
    tree.write_campaign(campaign)
    done = tree.run("measurements")
    assert containers_below(tree.folder) == []
    return done


def test_a_campaign_in_a_container(measured_in_containers):
    tree = measured_in_containers
    results = [read_result(path) for path in tree.results()]
    assert len(results) == 4
    assert {result.environment.runtime for result in results} == {"docker"}
    assert all(result.environment.image_digest.startswith("sha256:") for result in results)
    assert tree.failures() == []
    assert tree.events() == []
    assert containers_below(tree.folder) == []


def test_its_archive_names_the_image_of_each_job(measured_in_containers, tmp_path):
    tree = measured_in_containers.copy(tmp_path / "tree")
    tree.run("archive", check=True)
    with tarfile.open(tree.folder / "results/nap/archive/nap.tar.gz") as archive:
        archive.extract("nap/ro-crate-metadata.json", tmp_path, filter="data")
    graph = json.loads((tmp_path / "nap/ro-crate-metadata.json").read_text())["@graph"]
    (image,) = [entity for entity in graph if entity["@type"] == "ContainerImage"]
    ran_in = [entity["containerImage"] for entity in graph if "containerImage" in entity]
    assert ran_in == 4 * [{"@id": image["@id"]}]
    (digest,) = {read_result(path).environment.image_digest for path in tree.results()}
    assert image["sha256"] == digest.removeprefix("sha256:")
    assert "The image of the backend sleep, built on " in image["description"]


@pytest.mark.parametrize(
    ("options", "timing", "reason"),
    [
        ({"wave_fault": "hang"}, {"measure_deadline_s": 3.0}, "deadline_exceeded"),
        ({"wave_fault": "die"}, {}, "engine_died"),
        ({"wave_fault": "kill", "child": True}, {}, "engine_died"),
    ],
    ids=["hangs and ignores SIGTERM", "dies", "is killed with a child of its own"],
)
def test_an_engine_that_fails_is_replaced_within_its_container(tree, options, timing, reason):
    done = measure(tree, faulty(options, **timing))
    assert done.returncode != 0
    assert len(tree.results()) == 3
    assert [failure["reason"] for failure in tree.failures()] == [reason]
    assert tree.events() == []  # the container is the same


def test_an_engine_that_floods_its_output_disturbs_nothing(tree):
    done = measure(tree, faulty({"wave_fault": "flood"}))
    assert done.returncode == 0, done.stdout
    assert len(tree.results()) == 4


def test_a_memory_limit_that_is_exceeded_is_an_outcome(tree):
    done = measure(tree, faulty({"wave_fault": "eat"}, memory="128m"))
    assert done.returncode == 0, done.stdout
    status = sorted(read_result(path).status for path in tree.results())
    assert status == ["completed"] * 3 + ["out_of_memory"]
    assert tree.failures() == []


@pytest.fixture
def running(tree):
    campaign = copy.deepcopy(CAMPAIGN)
    campaign["measurement"] |= {"minimum_duration_s": 1.0, "measure_deadline_s": 5.0}
    tree.write_campaign(in_containers(campaign))
    with measuring(tree) as process:
        yield tree, process


@contextmanager
def measuring(tree, **environment):
    """A workflow that has finished one measurement and is in the next."""
    process = tree.start("measurements", environment=environment)
    try:
        wait_for(
            lambda: finished(tree.output()) or process.poll() is not None,
            why=tree.output(),
        )
        assert process.poll() is None, tree.output()
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def test_a_container_that_is_killed_is_recreated(running):
    tree, process = running
    subprocess.run(["docker", "kill", tree.backend()["handle"]["container"]], check=True)
    assert process.wait(timeout=PATIENCE_S) == 0, tree.output()
    assert len(tree.results()) == 4
    assert {failure["reason"] for failure in tree.failures()} <= {"backend_lost"}
    assert {event["kind"] for event in tree.events()} <= {
        *("backend_recreated", "backend_replaced", "backend_discarded")
    }
    assert tree.events()
    assert containers_below(tree.folder) == []


def supervisors_in(container):
    """Host ids of the supervisors in a container: not its init, which names them too."""
    listed = subprocess.run(
        ["docker", "top", container, "-o", "pid,args"], check=True, capture_output=True, text=True
    )
    lines = [line.split(maxsplit=1) for line in listed.stdout.splitlines()[1:]]
    return [
        int(pid) for pid, words in lines if "worker.supervisor" in words and "init" not in words
    ]


def test_a_supervisor_that_does_not_answer_is_replaced_with_its_container(running):
    tree, process = running
    (supervisor,) = supervisors_in(tree.backend()["handle"]["container"])
    os.kill(supervisor, signal.SIGSTOP)
    assert process.wait(timeout=PATIENCE_S) == 0, tree.output()
    assert len(tree.results()) == 4
    assert {failure["reason"] for failure in tree.failures()} == {"backend_silent"}
    assert containers_below(tree.folder) == []


@pytest.fixture
def apart(tree, tmp_path):
    """A tree, and a Docker engine of its own that has its image."""
    campaign = copy.deepcopy(CAMPAIGN)
    campaign["measurement"] |= {"minimum_duration_s": 1.0}
    tree.write_campaign(in_containers(campaign))  # the host's engine has its image
    image = next(tree.folder.glob(".cache/environments/sleep-*/ready.json"))
    with own_engine(tmp_path / "engine", [json.loads(image.read_text())["reference"]]) as engine:
        yield tree, engine


def test_a_docker_engine_that_stays_away_ends_the_run_and_costs_no_result(apart):
    tree, engine = apart
    with measuring(tree, DOCKER_HOST=engine.address) as process:
        kept = {path: path.read_bytes() for path in tree.results()}
        engine.stop()
        assert process.wait(timeout=PATIENCE_S) != 0
    socket = engine.address.removeprefix("unix://")
    remedy = f"the Docker engine does not answer at {socket}; start it, or set DOCKER_HOST"
    assert remedy in tree.output()
    assert "Traceback" not in tree.output()
    assert "The same command measures what is missing." in tree.output()
    assert {path: path.read_bytes() for path in kept} == kept
    assert tree.processes() == []
    assert tree.runs() == []

    engine.start()
    done = tree.run("measurements", check=True, environment={"DOCKER_HOST": engine.address})
    assert len(finished(done.stdout)) == 4 - len(kept)
    assert len(tree.results()) == 4
    assert engine.docker("ps", "--all", "--quiet").stdout == b""


def test_the_docker_engine_may_restart_in_the_middle(apart):
    tree, engine = apart
    with measuring(tree, DOCKER_HOST=engine.address) as process:
        engine.restart()
        assert process.wait(timeout=PATIENCE_S) == 0, tree.output()
    assert len(tree.results()) == 4
    assert "docker_unreachable" in {event["kind"] for event in tree.events()}
