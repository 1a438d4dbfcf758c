"""Preflight on AMD's GPUs: found, described, and what they do not get here is refused."""

import os

import pytest
from tests.amd_smi_simulator.scenario import AmdGpu
from tests.llm_energy.make_campaigns import BASE, load
from tests.nvml_simulator.scenario import Fault, with_uuid

from llm_energy.campaign.parallel_settings import Parallel
from llm_energy.preflight.gpu_findings import gpu_findings
from llm_energy.preflight.gpu_sets import set_findings
from llm_energy.preflight.gpus import ask_gpus, read_gpus
from llm_energy.preflight.obstacles import gpu_obstacles

ID = AmdGpu().id


@pytest.fixture
def two(simulate_amd):
    return simulate_amd(AmdGpu(), with_uuid(AmdGpu(), 2))


def obstacles(root, **changes):
    measurement = {"device": "gpu", "minimum_duration_s": 10.0}
    return gpu_obstacles(load(root, {**BASE, "measurement": measurement, **changes}), ask_gpus())


def test_a_gpu_is_described_by_its_uuid(simulate_amd, monkeypatch):
    simulate_amd(AmdGpu(processes=((os.getpid(), 0.0, 1e9),)), driver="6.14 (simulated)")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    described, clock, process, users, energy = gpu_findings(read_gpus(), used=True)
    assert described.message == (
        f"{ID}: Simulated Instinct, driver 6.14 (simulated), memory 206 GB, "
        "power limit 700 W, ECC unknown, temperature 35 °C"
    )
    assert clock.message == f"{ID}: SM clock 345 MHz now, at most 1980 MHz"
    assert process.facts["pid"] == os.getpid()
    assert (users.status, "to root only" in users.message) == ("note", True)
    assert energy.facts["readable"] == ["energy counter", "instant power"]


def test_one_that_cannot_be_named_is_amds(simulate_amd):
    simulate_amd(AmdGpu(faults=(Fault("uuid", 31),)))
    (gpu,) = read_gpus()
    assert (gpu.device.model, gpu.is_amd, gpu.lost) == ("unknown AMD GPU", True, "gpu_lost")


@pytest.mark.usefixtures("two")
def test_a_campaign_of_processes_on_them_has_no_obstacle(root):
    assert obstacles(root) == []


@pytest.mark.usefixtures("two")
def test_sets_of_them_are_refused(root):
    (line,) = obstacles(root, parallel={"devices": "all"})
    assert line == "gpu sets: parallel: sets are made of NVIDIA's GPUs only; remove `parallel`"
    assert [f.status for f in set_findings(Parallel(), read_gpus())] == ["problem"]


@pytest.mark.usefixtures("two")
def test_limits_and_clocks_are_refused(root):
    experiments = {"capped": {"settings": {"gpu": {"power_limit_watts": 300}}}}
    (line,) = obstacles(root, experiments=experiments)
    assert line == (
        "gpu limits: gpu: limits and clocks of AMD GPUs are not set; remove the settings `gpu.*`"
    )


@pytest.mark.usefixtures("two")
def test_containers_get_none_of_them(own_root, monkeypatch):
    """The NVIDIA container toolkit, which is missing too, is no remedy."""
    monkeypatch.setattr("llm_energy.preflight.docker_engine.ask_engine", dict)
    folder = own_root / "envs/toy"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "Dockerfile").write_text("FROM scratch\n")
    (line,) = obstacles(own_root, backends={"toy": {"runtime": "docker"}, "boxy": {}})
    assert line == "gpus of toy: backends.toy: no container gets AMD GPUs; use `runtime: process`"
