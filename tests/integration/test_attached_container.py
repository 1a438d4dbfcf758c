"""Measuring in a container that its user started with Compose and keeps."""

import copy
import json
import os
import signal
import subprocess
import tarfile
from contextlib import contextmanager

import pytest

from llm_energy.containers.engine import connect
from llm_energy.results.result import read_result
from tests.integration.docker import compose, require_docker, supervisor_of
from tests.integration.test_containers import SHORT_DEADLINES, measuring
from tests.integration.workflow import CAMPAIGN, PATIENCE_S, finished, in_containers, wait_for
from worker.protocol import PROTOCOL

pytestmark = [pytest.mark.integration, pytest.mark.long]

FILE = "results/nap/compose.yaml"


def attached(name, campaign=CAMPAIGN, **container):
    """A campaign whose backend runs already in a container of this name."""
    found = in_containers(campaign, **container)
    found["backends"]["sleep"]["environment"] = {"container": name}
    return found


@contextmanager
def started(tree, name):
    """The container of a tree, which Compose keeps: its command."""
    tree.write_campaign(attached(name))
    tree.run("compose", check=True)
    command = [*compose(), "-f", FILE]
    try:
        subprocess.run([*command, "up", "-d"], cwd=tree.folder, check=True)
        wait_for(lambda: hello(name))
        yield command
    finally:
        subprocess.run([*command, "down"], cwd=tree.folder, check=True)


def hello(name):
    """The state of the supervisor in a container; None where none answers."""
    line = json.dumps({"op": "hello", "protocol": PROTOCOL}) + "\n"
    client = "(cat; sleep 1) | python3 -m worker.client /run/llm-energy/supervisor.sock"
    command = ["docker", "exec", "-i", name, "sh", "-c", client]
    done = subprocess.run(command, input=line, capture_output=True, text=True)
    return json.loads(done.stdout) if done.stdout else None


def life(name):
    """Id of a container, and when it was started."""
    client = connect()
    try:
        found = client.containers.get(name)
        return found.id, found.attrs["State"]["StartedAt"], found.status
    finally:
        client.close()


@pytest.fixture
def kept(ready_in_containers, tmp_path):
    """A tree, the name of its container, and the command of Compose."""
    require_docker()
    name = f"nap-{tmp_path.name}".replace("_", "-")[:40] + f"-{os.getpid()}"
    tree = ready_in_containers.copy(tmp_path / "tree")
    with started(tree, name) as command:
        yield tree, name, command


def longer(name):
    campaign = copy.deepcopy(CAMPAIGN)
    campaign["measurement"] |= {"minimum_duration_s": 2.0}
    return attached(name, campaign)


def test_a_campaign_is_measured_in_it_and_leaves_it_as_it_was(kept):
    tree, name, _ = kept
    before = life(name)
    found = tree.run("preflight").stdout
    assert f"{name} runs in Docker" in found
    tree.run(check=True)
    results = [read_result(path) for path in tree.results()]
    assert len(results) == 4
    for result in results:
        flags = {flag.code: flag.message for flag in result.flags}
        assert flags["attached"] == f"container {name}"
        assert result.environment.runtime == "docker"
        assert result.environment.image_digest.startswith("sha256:")
    assert tree.failures() == tree.events() == []
    assert life(name) == before
    assert hello(name)["engine"] is None
    # Kept by its user or started by a run: the same measurements.
    tree.write_campaign(in_containers(CAMPAIGN))
    assert tree.planned("measurements") == 0
    tree.write_campaign(attached(name))
    tree.run("verify", check=True)
    tree.run("archive", check=True)
    with tarfile.open(tree.folder / "results/nap/archive/nap.tar.gz") as archive:
        names = archive.getnames()
    assert "nap/campaign.yaml" in names
    assert not any("compose.yaml" in name for name in names)  # it is of this machine


def test_a_supervisor_that_hangs_is_left_to_its_user(kept):
    tree, name, _ = kept
    before = life(name)
    campaign = longer(name)
    campaign["measurement"] |= SHORT_DEADLINES
    tree.write_campaign(campaign)
    with measuring(tree) as process:
        supervisor = supervisor_of(name)
        os.kill(supervisor, signal.SIGSTOP)
        wait_for(tree.failures)
        assert life(name) == before
        os.kill(supervisor, signal.SIGCONT)
        assert process.wait(timeout=PATIENCE_S) == 0, tree.output()
    assert {failure["reason"] for failure in tree.failures()} == {"backend_silent"}
    assert len(tree.results()) == 4
    assert life(name) == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_the_end_of_a_run_ends_its_measurement_and_not_the_container(kept, number):
    tree, name, _ = kept
    before = life(name)
    tree.write_campaign(longer(name))
    with measuring(tree) as process:
        wait_for(lambda: (hello(name)["engine"] or {}).get("jobs"))
        watchdog = tree.run_facts()["watchdog"]["pid"]
        (os.kill if number == signal.SIGINT else os.killpg)(process.pid, number)
        if number == signal.SIGKILL:
            os.kill(watchdog, signal.SIGKILL)
        process.wait(timeout=PATIENCE_S)
    wait_for(lambda: hello(name)["engine"] is None)
    assert life(name) == before
    tree.run("measurements", check=True)
    assert len(tree.results()) == 4
    assert life(name) == before


def test_a_container_that_its_user_restarts_costs_an_attempt(kept):
    tree, name, command = kept
    tree.write_campaign(longer(name))
    with measuring(tree) as process:
        subprocess.run([*command, "restart"], cwd=tree.folder, check=True)
        assert process.wait(timeout=PATIENCE_S) == 0, tree.output()
    assert len(tree.results()) == 4
    reasons = {failure["reason"] for failure in tree.failures()}
    assert reasons <= {"stopping", "backend_lost", "backend_start_failed"}


def test_a_second_campaign_in_it_is_refused_in_one_line(kept, tmp_path):
    tree, name, _ = kept
    other = tree.copy(tmp_path / "other")
    tree.write_campaign(longer(name))
    with measuring(tree) as process:
        done = other.run("measurements")
        assert done.returncode != 0
        message = f"backends.sleep.environment.container: another campaign measures in {name} ("
        assert message in done.stdout
        assert "Traceback" not in done.stdout
        assert process.wait(timeout=PATIENCE_S) == 0, tree.output()
    assert tree.failures() == []


def refusal(tree):
    """The one line by which a run is refused."""
    done = tree.run("measurements")
    assert done.returncode != 0
    assert "Traceback" not in done.stdout
    assert finished(done.stdout) == []
    (line,) = [each for each in done.stdout.splitlines() if each.startswith("backends.")]
    found = " ".join(tree.run("preflight").stdout.split())
    assert " ".join(line.split()) in found  # as before the run
    return line.removeprefix("backends.sleep.environment.container: the container ")


def test_a_container_that_is_not_the_campaigns_is_refused_in_one_line(kept):
    tree, name, command = kept
    path = f"write {FILE} with the target `compose`, then docker compose -f {FILE} up -d"
    tree.write_campaign(attached("no-such-container"))
    assert refusal(tree) == f"no-such-container does not exist; {path}"

    tree.write_campaign(attached(name, memory="512m"))
    expected = f"{name} is not the campaign's: its memory in bytes is none, not 536870912; {path}"
    assert refusal(tree) == expected

    tree.write_campaign(attached(name, environment={"OMP_NUM_THREADS": "2"}))
    assert "its variable OMP_NUM_THREADS is None, not 2" in refusal(tree)

    tree.write_campaign(attached(name))
    (tree.folder / "scripts/worker/waves.py").open("a").write("# changed\n")
    expected = f"{name} runs other code than this folder has; restart it: docker restart {name}"
    assert refusal(tree) == expected
    subprocess.run(["docker", "restart", name], check=True)
    wait_for(lambda: hello(name))
    assert len(tree.measured()) == 4

    subprocess.run([*command, "stop"], cwd=tree.folder, check=True)
    tree.write_campaign(attached(name) | {"cycles": 3})
    assert refusal(tree) == f"{name} does not run (exited); docker compose -f {FILE} up -d"


def test_another_folders_container_is_refused(kept, tmp_path):
    tree, _, _ = kept
    other = tree.copy(tmp_path / "other")
    expected = f"it has not {other.folder}/scripts/worker mounted read-only at /llm-energy/worker"
    assert expected in refusal(other)
