"""Measuring in containers: what may go wrong in one costs an attempt, and the next one is clean."""

import copy
import json
import os
import shutil
import signal
import subprocess
import tarfile
import time
from contextlib import contextmanager

import pytest

from llm_energy.archive.pack import known_secrets, secret_in
from llm_energy.results.result import read_result
from tests.integration.docker import (
    containers_below,
    own_engine,
    require_docker,
    supervisor_of,
)
from tests.integration.test_servers import DIALECT
from tests.integration.workflow import (
    CAMPAIGN,
    PATIENCE_S,
    ROOT,
    finished,
    in_containers,
    wait_for,
)

pytestmark = pytest.mark.integration

FAULTS = {
    "hangs": ({"wave_fault": "hang"}, "deadline_exceeded"),  # and ignores SIGTERM
    "dies": ({"wave_fault": "die"}, "engine_died"),
    "is_killed": ({"wave_fault": "kill", "child": True}, "engine_died"),
    "confesses": ({"wave_fault": "confess"}, "engine_error"),  # its environment
}
"""Fault of an engine in its first measurement that generates, and the reason that is recorded."""

SECRETS = {"MINE_KEY": "MarkerOfWhatAnEngineConfesses", "LICENSE_KEY": "MarkerOfWhatAServerNeeds"}
"""Variables of the sleeping engine, and of a server."""

SHORT_DEADLINES = {"load_deadline_s": 10.0, "measure_deadline_s": 10.0}
"""A supervisor that does not answer is found out soon, whichever request it leaves unanswered."""

STAND_IN = "tests/worker/serving/{}.py"
NEEDS_KEY = 'test "$LICENSE_KEY" && test -z "$MINE_KEY" && exec "$0" "$@"'


@pytest.fixture(autouse=True)
def _docker():
    require_docker()


def once(name, options):
    """Settings of an engine that fails once in the life of its container."""
    return {"sleep": {"fault_once_file": f"/tmp/{name}", "fault_after_waves": 2, **options}}


@pytest.fixture
def tree(ready_in_containers, tmp_path):
    """A tree whose image is built."""
    return ready_in_containers.copy(tmp_path / "tree")


def measure(tree, campaign, **environment):
    tree.write_campaign(campaign)
    done = tree.run("measurements", environment=environment)
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


@pytest.fixture(scope="module")
def faulty(ready_in_containers, tmp_path_factory):
    """Engines of one container that fail, each in its own way, and one that floods its output; in
    another container a server that needs a secret."""
    campaign = copy.deepcopy(CAMPAIGN)
    campaign["measurement"]["measure_deadline_s"] = 6.0
    options = {name: fault for name, (fault, _) in FAULTS.items()} | {
        "floods": {"wave_fault": "flood"}
    }
    campaign["experiments"] = {
        name: {"settings": {"engine": once(name, fault)}} for name, fault in options.items()
    }
    campaign["experiments"]["served"] = {"settings": {"backend": "own-server"}}
    campaign["backends"]["own-server"] = {}
    campaign = in_containers(campaign, memory="256m")
    tree = ready_in_containers.copy(tmp_path_factory.mktemp("faulty") / "tree")
    for name in ("frames", "stand_in", "stand_in_process"):  # where the container sees it
        target = tree.folder / "scripts/worker" / STAND_IN.format(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / STAND_IN.format(name), target)
    stand_in = f"/llm-energy/worker/{STAND_IN.format('stand_in_process')}"
    command = ["/bin/sh", "-c", NEEDS_KEY, "{python}", stand_in, "{port}"]
    server = {"command": command, "environment": "sleep", "prefix_cache": "off", **DIALECT}
    for backend, variable in zip(("sleep", "own-server"), SECRETS, strict=True):
        campaign["backends"][backend]["pass_variables"] = [variable]
    campaign["backends"]["own-server"]["server"] = server
    return tree, measure(tree, campaign, **SECRETS)


def results_of(tree, experiment):
    return tree.of(experiment)


@pytest.mark.parametrize("fault", FAULTS)
def test_an_engine_that_fails_is_replaced_within_its_container(faulty, fault):
    tree, done = faulty
    assert done.returncode != 0
    assert len(results_of(tree, fault)) == 1
    reasons = [each["reason"] for each in tree.failures() if each["experiment"] == fault]
    assert reasons == [FAULTS[fault][1]]
    assert tree.events() == []  # the container is the same


def test_an_engine_that_floods_its_output_disturbs_nothing(faulty):
    tree, _ = faulty
    assert len(results_of(tree, "floods")) == 2
    assert len(tree.failures()) == len(FAULTS)


def test_a_secret_reaches_its_backend_alone_and_no_file_but_what_an_engine_prints(faulty):
    tree, done = faulty
    assert len(results_of(tree, "served")) == 2, done.stdout
    (confession,) = [each for each in tree.failures() if each["experiment"] == "confesses"]
    assert f"('MINE_KEY', '{SECRETS['MINE_KEY']}')" in str(confession["log_tail"])
    files = {path: path.read_bytes() for path in tree.folder.rglob("*") if path.is_file()}
    confessed, needed = (
        [path for path, content in files.items() if secret.encode() in content]
        for secret in SECRETS.values()
    )
    assert needed == []
    assert [path.parents[1].name for path in confessed] == ["failures"]
    assert not any(secret in done.stdout for secret in SECRETS.values())
    found = secret_in(files[confessed[0]], known_secrets(SECRETS))
    assert found == "the value of MINE_KEY"  # an archive is refused

    tree = tree.copy(tree.folder.with_name("unset"))
    refused = tree.run("measurements", environment=dict.fromkeys(SECRETS, ""))
    assert refused.returncode != 0
    lines = [line for line in refused.stdout.splitlines() if line.startswith("backends.")]
    expected = "backends.sleep.pass_variables: MINE_KEY is not set, or is empty; set it"
    assert lines == [expected]  # the server has all its results
    assert finished(refused.stdout) == []


def test_a_memory_limit_that_is_exceeded_is_an_outcome(tree):
    campaign = copy.deepcopy(CAMPAIGN)
    campaign["defaults"]["engine"] = once("eats", {"wave_fault": "eat"})
    done = measure(tree, in_containers(campaign, memory="128m"))
    assert done.returncode == 0, done.stdout
    status = sorted(read_result(path).status for path in tree.results())
    assert status == ["completed"] * 3 + ["out_of_memory"]
    assert tree.failures() == []


@pytest.fixture
def running(tree):
    campaign = copy.deepcopy(CAMPAIGN)
    campaign["measurement"] |= {"minimum_duration_s": 1.0} | SHORT_DEADLINES
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


def restart_by_hand(container):
    """Stop and start a container as a user does; the workflow may remove it in between."""
    done = subprocess.run(["docker", "restart", container], capture_output=True, text=True)
    assert done.returncode == 0 or "removal" in done.stderr or "No such" in done.stderr


def test_a_container_that_is_restarted_by_hand_costs_an_attempt(tree):
    """Its supervisor ends on SIGTERM, which the measurement learns from its last message."""
    campaign = copy.deepcopy(CAMPAIGN) | {"cycles": 1}
    campaign["measurement"] |= {"minimum_duration_s": 5.0}  # it falls into a window
    tree.write_campaign(in_containers(campaign))
    with measuring(tree) as process:
        (measuring_now,) = tree.folder.glob(".cache/runs/*/measuring.json")
        second = tree.campaign().schedule[1].result_path
        wait_for(lambda: json.loads(measuring_now.read_text())["result"] == second)
        time.sleep(2.0)
        restart_by_hand(tree.backend()["handle"]["container"])
        assert process.wait(timeout=PATIENCE_S) == 0, tree.output()
    assert len(tree.results()) == 2
    assert {failure["reason"] for failure in tree.failures()} <= {"stopping", "backend_lost"}
    assert containers_below(tree.folder) == []


def test_a_supervisor_that_does_not_answer_is_replaced_with_its_container(running):
    tree, process = running
    os.kill(supervisor_of(tree.backend()["handle"]["container"]), signal.SIGSTOP)
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


@pytest.mark.long
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
