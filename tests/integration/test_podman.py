"""Measuring in containers of Podman, through Docker's API on Podman's own socket."""

import copy
import gzip
import io
import os
import signal
import subprocess
import tarfile

import docker
import pytest

from llm_energy.backends.docker_runtime import DockerRuntime
from llm_energy.backends.runtime import BackendRecord
from llm_energy.inputs.environment import prepare_environment
from llm_energy.results.result import read_result
from tests.integration.docker import containers_below, supervisor_of
from tests.integration.faults import words_of
from tests.integration.test_containers import SHORT_DEADLINES, measuring
from tests.integration.workflow import CAMPAIGN, PATIENCE_S, in_containers
from tests.llm_energy.inputs.boxes import make_box, pip_from, plan_of

pytestmark = [pytest.mark.integration, pytest.mark.long]
PASSWORD = "planted-password"


@pytest.fixture(autouse=True)
def service(podman, monkeypatch):
    """Podman, where all of this module finds its container engine."""
    monkeypatch.setenv("DOCKER_HOST", podman)
    client = docker.DockerClient(base_url=podman, version="auto")
    yield client
    client.close()


@pytest.fixture
def running(measured_in_podman, tmp_path):
    """The same campaign with longer windows, after its first measurement."""
    tree = measured_in_podman.copy(tmp_path / "tree")
    campaign = copy.deepcopy(CAMPAIGN) | {"campaign": "again"}
    campaign["measurement"] |= {"minimum_duration_s": 1.0} | SHORT_DEADLINES
    tree.write_campaign(in_containers(campaign))
    with measuring(tree) as process:
        yield tree, process


def backend_record(tree):
    return BackendRecord(**tree.backend())


def test_a_campaign_names_the_engine_of_its_containers(measured_in_podman):
    measured = measured_in_podman
    results = [read_result(path) for path in measured.results()]
    assert len(results) == 4
    assert all(r.environment.container_engine.startswith("Podman ") for r in results)
    assert measured.failures() == measured.events() == []
    assert containers_below(measured.folder) == []
    done = measured.run(check=True)
    assert "Nothing to be done" in done.stdout


def test_no_layer_of_any_image_holds_the_password_of_the_package_index(
    measured_in_podman, service, tmp_path, monkeypatch
):
    assert measured_in_podman.results()  # the base image is there
    root, index, log = make_box(tmp_path / "root", tmp_path / "index"), tmp_path / "index", "log"
    for name, value in pip_from(index).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", f"https://user:{PASSWORD}@index.invalid/simple")
    monkeypatch.chdir(tmp_path)
    marker = prepare_environment(plan_of(root), root=root, target=tmp_path, log=tmp_path / log)
    content = b""
    for listed in service.images.list(all=True):
        saved = b"".join(service.api.get_image(listed.id))
        with tarfile.open(fileobj=io.BytesIO(saved)) as image:
            for member in filter(tarfile.TarInfo.isfile, image):
                data = image.extractfile(member).read()
                content += gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data
    assert marker["packages"] == {"xllamacpp": "1.0"}
    assert b"xllamacpp-1.0.dist-info" in content  # the layers are in there
    assert PASSWORD.encode() not in content


def test_the_processes_of_a_backend_are_those_of_the_host(running):
    tree, process = running
    pids = DockerRuntime().processes(backend_record(tree))
    commands = [words_of(pid) for pid in pids]  # an engine among them may have ended
    assert any("-m worker.supervisor" in command for command in commands)
    assert process.wait(timeout=PATIENCE_S) == 0, tree.output()


def test_a_container_that_is_killed_is_recreated(running, service):
    tree, process = running
    service.containers.get(tree.backend()["handle"]["container"]).kill()
    assert process.wait(timeout=PATIENCE_S) == 0, tree.output()
    assert len(tree.results("again")) == 4
    assert {failure["reason"] for failure in tree.failures("again")} <= {"backend_lost"}
    assert {event["kind"] for event in tree.events("again")} <= {
        *("backend_recreated", "backend_replaced", "backend_discarded")
    }
    assert tree.events("again")
    assert containers_below(tree.folder) == []


def test_a_supervisor_that_does_not_answer_is_replaced_with_its_container(running):
    tree, process = running
    os.kill(supervisor_of(tree.backend()["handle"]["container"]), signal.SIGSTOP)
    assert process.wait(timeout=PATIENCE_S) == 0, tree.output()
    assert len(tree.results("again")) == 4
    assert {failure["reason"] for failure in tree.failures("again")} == {"backend_silent"}
    assert containers_below(tree.folder) == []


def test_sigkill_of_the_workflow_leaves_no_container(running):
    tree, process = running
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    tree.run("measurements", check=True)
    assert len(tree.results("again")) == 4
    assert containers_below(tree.folder) == []


def test_a_heartbeat_that_stops_is_found_without_a_health_check(running):
    tree, process = running
    record = backend_record(tree)
    assert not DockerRuntime().hung(record)
    watchdog = tree.run_facts()["watchdog"]["pid"]
    os.kill(watchdog, signal.SIGSTOP)  # it might heal before this test has looked
    python, state = record.handle["python"], "/run/llm-energy/supervisor.heartbeat"
    os.kill(supervisor_of(record.handle["container"]), signal.SIGSTOP)
    age = [python, "-c", f"import os; os.utime('{state}', (1, 1))"]
    command = ["docker", "exec", record.handle["container"], *age]
    subprocess.run(command, check=True)
    hung = DockerRuntime().hung(record)
    os.kill(watchdog, signal.SIGCONT)
    assert hung
    assert process.wait(timeout=PATIENCE_S) == 0, tree.output()
