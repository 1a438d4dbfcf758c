"""A backend's container sees only the declared parts of the host."""

import os
from pathlib import Path

import pytest
from docker.types import DeviceRequest

from llm_energy.backends.container import run_options
from llm_energy.backends.runtime import BackendError, ContainerSettings, DeclaredBackend
from llm_energy.campaign.backend_settings import Container
from llm_energy.containers.engine import EngineKind, gpu_options
from llm_energy.runs.run import Run

SCRIPTS = Path(__file__).parents[3] / "scripts"


@pytest.fixture
def options(tmp_path, monkeypatch):
    """Return the options of a container with these limits."""
    monkeypatch.chdir(tmp_path)
    run = Run.create(campaign="c", results=Path("results/c"), scripts=SCRIPTS)

    def make(*, podman=False, rootless=False, secrets=(), **limits):
        declared = DeclaredBackend(
            name="vllm",
            runtime="docker",
            environment_id="vllm-1",
            container=ContainerSettings(**Container(**limits).model_dump()),
            readable=("/models", "/data/my model"),
            secrets=secrets,
        )
        kind = EngineKind(podman=podman, rootless=rootless)
        return run, run_options(declared, "/opt/engine/bin/python3", run, kind=kind)

    yield make
    run.remove()


def test_it_sees_code_models_and_the_lease_and_can_write_none_of_them(options):
    run, told = options()
    mounted = {mount["Source"]: mount["Target"] for mount in told["mounts"]}
    assert {(mount["Type"], mount["ReadOnly"]) for mount in told["mounts"]} == {("bind", True)}
    assert mounted == {
        str(SCRIPTS / "worker"): "/llm-energy/worker",
        str(run.folder): str(run.folder),
        "/models": "/models",
        "/data/my model": "/data/my model",
    }
    assert all(Path(place).is_absolute() for place in mounted)
    assert told["read_only"] is True


def test_it_has_the_secrets_that_are_named_and_no_others(options, monkeypatch):
    for name in ("LICENSE_KEY", "OTHER_KEY"):
        monkeypatch.setenv(name, "its")
    found = options(secrets=("LICENSE_KEY",))[1]["environment"]
    assert found["LICENSE_KEY"] == "its"
    assert "OTHER_KEY" not in found
    monkeypatch.delenv("LICENSE_KEY")
    with pytest.raises(BackendError, match="needs the environment variable LICENSE_KEY"):
        options(secrets=("LICENSE_KEY",))


def test_it_has_no_network_no_privileges_and_is_nobody_else(options):
    _, told = options()
    assert told["network_mode"] == "none"
    assert told["cap_drop"] == ["ALL"]
    assert told["security_opt"] == ["no-new-privileges"]
    assert told["user"] == f"{os.getuid()}:{os.getgid()}"
    assert not {"privileged", "ports", "restart_policy"} & set(told)


def test_in_a_rootless_engine_this_user_is_the_root_of_the_container(options):
    """Any other id is one of the user's subordinate ids, which may not read the user's files."""
    _, found = options(rootless=True)
    assert found["user"] == "0:0"
    assert found["cap_drop"] == ["ALL"]
    assert options(rootless=True, user="1000:1000")[1]["user"] == "1000:1000"


def test_it_goes_when_its_supervisor_ends(options):
    run, told = options()
    assert told["auto_remove"] is True
    assert told["init"] is True
    assert told["command"][told["command"].index("--lease") + 1] == str(run.lease)


def test_it_is_known_by_its_run_campaign_backend_and_configuration(options):
    run, told = options()
    labels = {name.removeprefix("org.llm-energy."): text for name, text in told["labels"].items()}
    assert (labels["run"], labels["campaign"], labels["backend"]) == (run.run_id, "c", "vllm")
    _, other = options(memory="8g")
    assert other["labels"]["org.llm-energy.configuration"] != labels["configuration"]


def test_limits_are_passed_on(options):
    _, told = options(
        cpus=1.5,
        memory="8g",
        shm_size="2g",
        ulimits={"memlock": -1},
        environment={"A": "b"},
        user="1000:1000",
        read_only=False,
    )
    assert (told["nano_cpus"], told["mem_limit"], told["shm_size"]) == (1_500_000_000, "8g", "2g")
    assert told["memswap_limit"] == told["mem_limit"]  # no swap
    assert (told["user"], told["read_only"]) == ("1000:1000", False)
    assert told["environment"]["A"] == "b"
    (limit,) = told["ulimits"]
    assert (limit.name, limit.soft, limit.hard) == ("memlock", -1, -1)


def test_without_limits_none_are_set(options):
    _, told = options()
    assert (told["nano_cpus"], told["mem_limit"], told["memswap_limit"]) == (None, None, None)
    assert "device_requests" not in told


@pytest.mark.parametrize(
    ("gpus", "request_"),
    [
        ("all", DeviceRequest(count=-1, capabilities=[["gpu"]])),
        (2, DeviceRequest(count=2, capabilities=[["gpu"]])),
        (("GPU-1",), DeviceRequest(device_ids=["GPU-1"], capabilities=[["gpu"]])),
    ],
)
def test_gpus_by_all_number_or_uuid(gpus, request_):
    assert gpu_options(gpus, podman=False) == {"device_requests": [request_]}


@pytest.mark.parametrize(
    ("gpus", "devices"),
    [
        ("all", ["nvidia.com/gpu=all"]),
        (2, ["nvidia.com/gpu=0", "nvidia.com/gpu=1"]),
        (("GPU-1", "GPU-2"), ["nvidia.com/gpu=GPU-1", "nvidia.com/gpu=GPU-2"]),
    ],
)
def test_podman_gets_gpus_by_their_names_in_the_container_device_interface(gpus, devices):
    """It ignores requests for GPUs without an error."""
    (request_,) = gpu_options(gpus, podman=True)["device_requests"]
    assert (request_["Driver"], request_["DeviceIDs"]) == ("cdi", devices)


def test_without_gpus_no_engine_is_requested_any():
    assert gpu_options(None, podman=True) == gpu_options(None, podman=False) == {}


def test_podman_gets_no_health_check_which_it_would_not_run(options):
    assert "healthcheck" in options()[1]
    assert "healthcheck" not in options(podman=True)[1]


def test_the_health_check_reads_the_age_of_the_heartbeat_every_30_s(options):
    _, told = options()
    check = told["healthcheck"]
    assert check["Interval"] == 30 * 10**9
    assert "supervisor.heartbeat" in check["Test"][1]
