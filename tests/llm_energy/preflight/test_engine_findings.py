"""Findings from `docker info` about an engine and about GPUs in its containers."""

import pytest
from tests.integration.docker import require_docker

from llm_energy.preflight import docker_engine as module
from llm_energy.preflight.asking import RefusalError
from llm_energy.preflight.docker_engine import ask_engine, engine_findings, toolkit_finding

INFO = {
    "Engine": "Docker 28.3.2",
    "ServerVersion": "28.3.2",
    "ApiVersion": "1.51",
    "Driver": "overlay2",
    "DockerRootDir": "/var/lib/docker",
    "CgroupVersion": "2",
    "SecurityOptions": ["name=seccomp,profile=builtin"],
    "MemoryLimit": True,
    "SwapLimit": True,
    "Runtimes": {"runc": {}, "io.containerd.runc.v2": {}},
}
CDI = [{"Source": "cdi", "ID": "nvidia.com/gpu=0"}, {"Source": "cdi", "ID": "vendor.com/nic=0"}]


@pytest.fixture(autouse=True)
def _nothing_installed(monkeypatch):
    monkeypatch.setattr(module.shutil, "which", lambda _: None)


def statuses(*, memory_limits=True, **changes):
    return [f.status for f in engine_findings(INFO | changes, memory_limits=memory_limits)]


def test_an_engine_is_described():
    (found,) = engine_findings(INFO, memory_limits=True)
    expected = "Docker 28.3.2, API 1.51, overlay2 in /var/lib/docker, run by root, cgroups v2"
    assert found.message == expected


def test_a_rootless_one_is_reported_as_such():
    (found,) = engine_findings(INFO | {"SecurityOptions": ["name=rootless"]}, memory_limits=False)
    assert found.facts["rootless"]
    assert "rootless" in found.message


def test_podman_says_so_in_a_field_of_its_own():
    """As Podman 4.3.1 answers, whose security options do not name it."""
    answer = {"SecurityOptions": ["name=seccomp,profile=default"], "Rootless": True}
    (found,) = engine_findings(INFO | answer, memory_limits=False)
    assert found.facts["rootless"]


def test_without_root_the_first_cgroups_limit_nothing_whatever_the_engine_says():
    assert statuses(Rootless=True, CgroupVersion="1") == ["ok", "warning"]
    assert statuses(Rootless=True, CgroupVersion="2") == ["ok"]


def test_limits_that_it_cannot_keep_matter_to_those_who_ask_for_them():
    assert statuses(MemoryLimit=False) == ["ok", "warning"]
    assert statuses(SwapLimit=False) == ["ok", "warning"]
    assert statuses(MemoryLimit=False, memory_limits=False) == ["ok"]


def test_whole_copies_of_layers_are_a_warning():
    assert statuses(Driver="vfs") == ["ok", "warning"]


@pytest.fixture
def podman(tmp_path, monkeypatch):
    """Podman, with empty folders for its helper programs and descriptions of devices."""
    monkeypatch.setattr(module, "INIT_FOLDERS", [str(tmp_path / "libexec")])
    monkeypatch.setattr(module, "CDI_FOLDERS", [str(tmp_path / "cdi")])
    (tmp_path / "libexec").mkdir()
    (tmp_path / "cdi").mkdir()
    return INFO | {"Engine": "Podman 5.4.0", "ServerVersion": "5.4.0"}


def test_podman_without_its_init_is_a_problem(podman, tmp_path):
    described, problem = engine_findings(podman, memory_limits=False)
    assert described.message.startswith("Podman 5.4.0, API 1.51")
    assert problem.message == "Podman needs the program catatonit; install the package catatonit"
    (tmp_path / "libexec/catatonit").touch()
    assert len(engine_findings(podman, memory_limits=False)) == 1


def test_podman_needs_a_description_of_its_gpus(podman, tmp_path):
    assert toolkit_finding(podman).status == "problem"
    assert "nvidia-ctk cdi generate" in toolkit_finding(podman).message
    (tmp_path / "cdi/nic.yaml").write_text("kind: vendor.com/nic\n")
    assert toolkit_finding(podman).status == "problem"
    (tmp_path / "cdi/nvidia.yaml").write_text("kind: nvidia.com/gpu\n")
    assert toolkit_finding(podman).status == "ok"
    older = podman | {"Engine": "Podman 5.3.2", "ServerVersion": "5.3.2"}
    assert toolkit_finding(older).message.startswith("Podman 5.3.2 ignores requests for GPUs")


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, "problem"),
        ({"Runtimes": {"nvidia": {}}}, "ok"),
        ({"Runtimes": None, "DiscoveredDevices": None}, "problem"),
        ({"DiscoveredDevices": CDI}, "problem"),  # this version asks the hook, not CDI
        ({"DiscoveredDevices": CDI, "ServerVersion": "29.4.0"}, "ok"),
        ({"DiscoveredDevices": CDI[1:], "ServerVersion": "29.4.0"}, "problem"),
        ({"DiscoveredDevices": CDI, "ServerVersion": "dev"}, "problem"),
    ],
)
def test_whether_containers_can_have_gpus(changes, status):
    assert toolkit_finding(INFO | changes).status == status


def test_the_remedy_is_the_one_that_a_run_tells():
    message = toolkit_finding(INFO).message
    assert "install nvidia-container-toolkit" in message
    assert "nvidia-ctk runtime configure --runtime=docker" in message


def test_what_is_installed_but_not_set_up_may_work(monkeypatch):
    monkeypatch.setattr(module.shutil, "which", lambda name: f"/usr/bin/{name}")
    assert toolkit_finding(INFO).status == "warning"


def test_the_real_engine():
    require_docker()
    info = ask_engine()
    (described, *_) = engine_findings(info, memory_limits=False)
    assert described.facts["version"]
    assert described.facts["root_folder"].startswith("/")
    assert toolkit_finding(info).status in ("ok", "problem")


def test_an_engine_that_is_not_there(monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(RefusalError, match=r"does not answer at .*none\.sock; start it"):
        ask_engine()


def test_an_engine_of_another_machine(monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "tcp://elsewhere:2375")
    with pytest.raises(RefusalError, match="only an engine of this host"):
        ask_engine()
