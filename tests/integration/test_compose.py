"""The Compose file of a campaign: taken by Compose, and its containers are those of a run."""

import json
import subprocess

import pytest
import yaml

from tests.integration.docker import compose, require_docker
from tests.integration.workflow import wait_for
from tests.llm_energy.backends.test_compose_service import LIMITS, made
from worker.protocol import PROTOCOL

pytestmark = [pytest.mark.integration, pytest.mark.long]

FILE = "results/nap/compose.yaml"
CLIENT = "python3 -m worker.client /run/llm-energy/supervisor.sock"


@pytest.fixture(scope="module")
def up(ready_in_containers, tmp_path_factory):
    """A tree whose backend Compose has started, and the words that command it."""
    require_docker()
    command = [*compose(), "-f", FILE]
    tree = ready_in_containers.copy(tmp_path_factory.mktemp("compose") / "tree")
    tree.printed = tree.run("compose", check=True).stdout
    try:
        subprocess.run([*command, "up", "-d"], cwd=tree.folder, check=True)
        yield tree, command
    finally:
        subprocess.run([*command, "down"], cwd=tree.folder, check=True)


def test_compose_takes_the_file_and_the_command_that_is_printed(up):
    tree, command = up
    assert f"docker compose -f {FILE} up -d" in tree.printed
    done = subprocess.run(
        [*command, "config"], cwd=tree.folder, check=True, capture_output=True, text=True
    )
    (service,) = yaml.safe_load(done.stdout)["services"].values()
    assert service["container_name"] == "llm-energy-nap-sleep"
    assert service["network_mode"] == "none"
    assert (service["read_only"], service["init"]) == (True, True)


@pytest.mark.usefixtures("up")
def test_its_supervisor_answers_and_needs_no_run():
    talk = ["sh", "-c", f"(cat; sleep 1) | {CLIENT}"]  # its answer comes before its input ends
    line = json.dumps({"op": "hello", "protocol": PROTOCOL}) + "\n"

    def answer():
        command = ["docker", "exec", "-i", "llm-energy-nap-sleep", *talk]
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
