"""A service of a Compose file is the container that a run would start, and nothing else."""

import pytest
import yaml

from llm_energy.backends.compose_service import escaped, service
from llm_energy.backends.container import container_options
from llm_energy.backends.runtime import ContainerSettings, DeclaredBackend
from llm_energy.campaign.backend_settings import Container
from llm_energy.containers.engine import EngineKind

IMAGE = f"sha256:{64 * '0'}"
LIMITS = {
    "cpus": 1.5,
    "memory": "8g",
    "ulimits": {"memlock": -1},
    "environment": {"A": "$HOME is ${HOME}"},
}


def made(*, podman=False, cpu_set=(0, 3), secrets=(), **limits):
    container = Container(**limits).model_dump()
    if isinstance(container["gpus"], list):
        container["gpus"] = tuple(container["gpus"])
    declared = DeclaredBackend(
        name="vllm",
        runtime="docker",
        environment_id="vllm-1",
        container=ContainerSettings(**container),
        readable=("/models", "/data/my model"),
        cpu_set=cpu_set,
        secrets=secrets,
    )
    kind = EngineKind(podman=podman, rootless=False)
    options = container_options(declared, "/usr/bin/python3", campaign="c", kind=kind)
    return options, service(IMAGE, options, name="llm-energy-c-vllm")


def test_it_is_the_container_of_a_run_without_the_run():
    options, found = made(**LIMITS)
    assert found["image"] == IMAGE
    assert found["entrypoint"] == options["entrypoint"]
    assert "--lease" not in found["command"]
    assert not any(name.endswith((".run", ".owner", ".namespace")) for name in found["labels"])
    assert found["labels"]["org.llm-energy.backend"] == "vllm"
    assert (found["network_mode"], found["cap_drop"]) == ("none", ["ALL"])
    assert (found["read_only"], found["init"], found["restart"]) == (True, True, "no")
    assert found["tmpfs"] == ["/tmp:exec,mode=1777", "/run/llm-energy:mode=1777"]
    assert (found["mem_limit"], found["memswap_limit"], found["cpus"]) == ("8g", "8g", 1.5)
    assert (found["cpuset"], found["shm_size"]) == ("0,3", "1g")
    assert found["ulimits"] == {"memlock": {"soft": -1, "hard": -1}}
    assert found["healthcheck"]["interval"] == "30s"
    assert found["logging"] == {"driver": "json-file", "options": options["log_config"]["Config"]}


def test_without_limits_it_has_none():
    _, found = made(cpu_set=None)
    assert not {"mem_limit", "memswap_limit", "cpus", "cpuset", "deploy"} & set(found)


def test_a_missing_source_of_a_mount_is_not_made():
    _, found = made()
    targets = [volume["target"] for volume in found["volumes"]]
    assert targets == ["/llm-energy/worker", "/models", "/data/my model"]
    assert all(volume["read_only"] for volume in found["volumes"])
    assert not any(volume["bind"]["create_host_path"] for volume in found["volumes"])


def test_a_secret_has_no_value_which_compose_takes_from_its_user(monkeypatch):
    """Compose Specification, "Interpolation": `:?` is an error where it is not set, or is empty."""
    monkeypatch.setenv("LICENSE_KEY", "s3cret")
    _, found = made(secrets=("LICENSE_KEY",), environment={"EMPTY": ""})
    assert found["environment"]["LICENSE_KEY"].startswith("${LICENSE_KEY:?set it")
    assert found["environment"]["EMPTY"] == ""
    assert "s3cret" not in yaml.safe_dump(found)


def test_compose_replaces_no_variables():
    options, found = made(**LIMITS)
    assert found["environment"]["A"] == "$$HOME is $${HOME}"
    assert "$$(date +%s)" in found["healthcheck"]["test"][1]
    assert options["environment"]["A"] == "$HOME is ${HOME}"
    assert escaped({"a": ["$", 1, None]}) == {"a": ["$$", 1, None]}


@pytest.mark.parametrize(
    ("podman", "gpus", "device"),
    [
        (False, "all", {"capabilities": ["gpu"], "count": "all"}),
        (False, 2, {"capabilities": ["gpu"], "count": 2}),
        (False, ["GPU-1"], {"capabilities": ["gpu"], "device_ids": ["GPU-1"]}),
        (
            True,
            ["GPU-1"],
            {"driver": "cdi", "capabilities": ["gpu"], "device_ids": ["nvidia.com/gpu=GPU-1"]},
        ),
    ],
)
def test_gpus_are_reserved_as_a_run_requests_them(podman, gpus, device):
    _, found = made(podman=podman, gpus=gpus)
    assert found["deploy"] == {"resources": {"reservations": {"devices": [device]}}}


def test_podman_gets_no_health_check():
    assert "healthcheck" not in made(podman=True)[1]


def test_an_option_that_has_no_translation_is_no_option():
    with pytest.raises(KeyError):
        service(IMAGE, {"privileged": True}, name="a")
