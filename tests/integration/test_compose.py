"""The Compose file of a campaign: taken by Compose, and its containers are those of a run."""

import json
import os
import subprocess

import pytest
import yaml

from tests.integration.docker import compose, require_docker
from tests.integration.workflow import CAMPAIGN, in_containers, wait_for
from tests.llm_energy.backends.test_compose_service import LIMITS, made
from worker.protocol import PROTOCOL

pytestmark = [pytest.mark.integration, pytest.mark.long]

FILE = "results/nap/compose.yaml"
NAME = "llm-energy-nap-sleep"
SECRET = {"LICENSE_KEY": "$Marker of a ${SECRET} that no file may hold"}
CLIENT = "python3 -m worker.client /run/llm-energy/supervisor.sock"


@pytest.fixture(scope="module")
def up(ready_in_containers, tmp_path_factory):
    """A tree whose backend needs a secret, and which Compose has started; how to call Compose."""
    require_docker()
    tree = ready_in_containers.copy(tmp_path_factory.mktemp("compose") / "tree", campaign())
    tree.printed = tree.run("compose", check=True).stdout

    def call(*arguments, secret=SECRET):
        command = [*compose(), "-f", FILE, *arguments]
        environment = os.environ | secret
        return subprocess.run(
            command, cwd=tree.folder, env=environment, capture_output=True, text=True
        )

    try:
        started = call("up", "-d")
        assert started.returncode == 0, started.stderr
        yield tree, call
    finally:
        call("down")


def campaign(**backend):
    found = in_containers(CAMPAIGN)
    found["backends"]["sleep"] |= {"pass_variables": [*SECRET], **backend}
    return found


def test_compose_takes_the_file_and_the_command_that_is_printed(up):
    tree, call = up
    assert f"docker compose -f {FILE} up -d" in tree.printed
    done = call("config")
    assert done.returncode == 0, done.stderr
    (service,) = yaml.safe_load(done.stdout)["services"].values()
    assert service["container_name"] == NAME
    assert service["network_mode"] == "none"
    assert (service["read_only"], service["init"]) == (True, True)


@pytest.mark.parametrize("secret", [{}, {"LICENSE_KEY": ""}])
def test_compose_refuses_the_file_without_a_secret(up, secret):
    _, call = up
    done = call("up", "-d", secret=secret)
    assert done.returncode != 0
    (line,) = done.stderr.splitlines()
    assert "required variable LICENSE_KEY is missing a value: set it in the environment" in line


def test_a_secret_is_in_its_container_and_in_no_file(up):
    """The run itself needs none of a container that has it."""
    tree, _ = up
    printed = subprocess.run(["docker", "exec", NAME, "printenv", *SECRET], capture_output=True)
    assert printed.stdout.decode().rstrip() == SECRET["LICENSE_KEY"]
    tree.write_campaign(campaign(environment={"container": NAME}))
    assert f"{NAME} runs in Docker" in tree.run("preflight", check=True).stdout
    files = [path for path in tree.folder.rglob("*") if path.is_file()]
    marker = SECRET["LICENSE_KEY"].encode()
    assert [path for path in files if marker in path.read_bytes()] == []


@pytest.mark.usefixtures("up")
def test_its_supervisor_answers_and_needs_no_run():
    talk = ["sh", "-c", f"(cat; sleep 1) | {CLIENT}"]  # its answer comes before its input ends
    line = json.dumps({"op": "hello", "protocol": PROTOCOL}) + "\n"

    def answer():
        command = ["docker", "exec", "-i", NAME, *talk]
        return subprocess.run(command, input=line, capture_output=True, text=True).stdout

    wait_for(answer)
    hello = json.loads(answer())
    assert (hello["event"], hello["engine"]) == ("hello", None)


@pytest.mark.parametrize("podman", [False, True])
@pytest.mark.parametrize("gpus", ["all", 2, ["GPU-1"]])
def test_compose_takes_limits_and_reservations_of_gpus(tmp_path, podman, gpus):
    _, made_service = made(podman=podman, gpus=gpus, **LIMITS)
    (tmp_path / "compose.yaml").write_text(yaml.safe_dump({"services": {"vllm": made_service}}))
    done = subprocess.run(
        [*compose(), "config"], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    service = yaml.safe_load(done.stdout)["services"]["vllm"]
    reserved, taken = (each["deploy"]["resources"] for each in (made_service, service))
    (device,), (found,) = (each["reservations"]["devices"] for each in (reserved, taken))
    all_of_them = {"count": -1} if device.get("count") == "all" else {}  # as Compose 2 writes it
    assert found in (device, device | all_of_them)
    assert service["environment"] == made_service["environment"]  # `$` is doubled again
