"""GPUs as the simulated NVML shows them, through the real binding."""

import ctypes
import os
from dataclasses import replace
from functools import partial

import pytest
from tests.llm_energy.preflight.made_machines import gpu
from tests.nvml_simulator import scenario as made
from tests.nvml_simulator.library import VARIABLE
from tests.nvml_simulator.scenario import Fault, Gpu, with_uuid

from llm_energy.power import nvml
from llm_energy.power.sensor_probe import probe
from llm_energy.preflight import gpus as module
from llm_energy.preflight.asking import SilentError
from llm_energy.preflight.gpu_findings import enough_findings, gpu_findings
from llm_energy.preflight.gpus import NoGpuError, read_gpus
from llm_energy.system.processes import process_name

UUID = Gpu().uuid


def found(*, used=True):
    return list(gpu_findings(read_gpus(), used=used))


def of_status(status, findings):
    return [finding.message for finding in findings if finding.status == status]


def test_a_gpu_is_described_by_its_uuid(simulate):
    simulate(Gpu(limit_watts=650.0, default_limit_watts=650.0))
    described, clock, energy = found()
    assert described.message == (
        f"{UUID}: Simulated GPU, driver 580.00 (simulated), memory 85.9 GB, "
        "power limit 650 W, ECC on, temperature 35 °C"
    )
    assert described.facts["memory_bytes"] == 80 << 30
    assert described.facts["default_power_limit_watts"] == 650.0
    assert (clock.status, clock.subject) == ("note", "gpu clock")
    assert "SM clock 345 MHz now, at most 1980 MHz" in clock.message
    assert "cannot be read" in clock.message
    assert energy.facts["readable"] == ["energy counter", "instant power", "average power"]


def test_a_driver_that_is_slow_at_first_is_asked_again(monkeypatch):
    answers = iter([{"gpus": SilentError("no answer within 10 s")}, {"gpus": []}])
    monkeypatch.setattr(module, "ask_all", lambda _questions: next(answers))
    assert module.ask_gpus() == []


def test_modes_that_change_what_is_measured_are_reported(simulate):
    simulate(Gpu(limit_watts=500.0, persistence=False))
    (described, *told) = found()
    assert "power limit 500 W" in described.message
    messages = " ".join(finding.message for finding in told)
    assert "persistence" in messages
    assert "700 W" in messages


def test_simulated_sensors_are_marked(simulate):
    simulate(Gpu())
    assert [m for m in of_status("warning", found()) if "SIMULATED" in m]
    simulate(Gpu(name="Board 9000"), driver="580.00")
    assert of_status("warning", found()) == []


def test_a_board_that_is_listed_twice_is_one(simulate):
    simulate(Gpu(), Gpu(), with_uuid(Gpu(), 2))
    assert [each.uuid for each in read_gpus()] == [UUID, with_uuid(Gpu(), 2).uuid]


class TestLost:
    def problems(self, gpus):
        return of_status("problem", gpu_findings(gpus, used=True))

    def test_one_that_is_lost_while_its_sensors_are_watched(self, simulate, monkeypatch):
        monkeypatch.setattr(module, "probe", partial(probe, duration_s=1.8))
        lost = with_uuid(Gpu(faults=(Fault("all", made.GPU_LOST, (1.5, 1e9)),)), 2)
        simulate(Gpu(), lost)
        gpus = read_gpus(probed=True)
        assert [each.lost for each in gpus] == [None, "gpu_lost"]
        (message,) = self.problems(gpus)
        assert message.startswith(f"{lost.uuid}: Simulated GPU, cannot be used: The GPU fell off")
        (too_few,) = enough_findings("vllm", 2, 1, gpus)
        assert "this machine has 1" in too_few.message

    def test_one_that_the_driver_lists_and_does_not_show(self, simulate):
        simulate(Gpu(), with_uuid(Gpu(faults=(Fault("handle", made.GPU_LOST),)), 2))
        gpus = read_gpus()
        assert [each.index for each in gpus] == [0, 1]
        (message,) = self.problems(gpus)
        assert message.startswith("GPU 1: unknown NVIDIA GPU, cannot be used: The GPU fell off")

    def test_the_others_keep_their_numbers_in_the_drivers_list(self, simulate):
        simulate(Gpu(faults=(Fault("handle", made.GPU_LOST),)), with_uuid(Gpu(), 2))
        assert [(each.uuid, each.index) for each in read_gpus()] == [
            (with_uuid(Gpu(), 2).uuid, 1),
            ("GPU 0", 0),
        ]

    def test_beside_a_campaign_on_the_cpu_it_is_a_note(self, simulate):
        simulate(Gpu(faults=(Fault("handle", made.GPU_LOST),)))
        (finding,) = found(used=False)
        assert finding.status == "note"
        assert "cannot be used" in finding.message


def test_a_counter_that_never_moves_cannot_be_read(simulate, monkeypatch):
    monkeypatch.setattr(module, "probe", partial(probe, duration_s=0.5))
    simulate(Gpu(name="Board 9000", counter_gain=0.0, counter_start_mj=5), driver="580.00")
    (message,) = of_status("warning", gpu_findings(read_gpus(probed=True), used=True))
    assert "not: energy counter: counter_stuck" in message
    assert "takes its energy from instant power" in message


def test_a_split_gpu_is_a_warning(simulate):
    simulate(Gpu(mig=True))
    assert any("MIG" in message for message in of_status("warning", found()))


def test_who_computes_on_it_is_named(simulate):
    mine = os.getpid()
    simulate(Gpu(processes=((mine, 0.0, 1e9), (4_000_000_000, 0.0, 1e9))))
    named = [f for f in found() if "computes on it" in f.message]
    assert [f.facts["pid"] for f in named] == [mine, 4_000_000_000]
    assert named[0].facts["name"] == process_name(mine) is not None
    assert named[1].facts["name"] is None
    assert "name unknown" in named[1].message


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("processes", "does not report which processes compute on it"),
        ("persistence", "does not report its persistence mode"),
    ],
)
def test_what_it_does_not_tell_is_unknown(simulate, target, words):
    simulate(Gpu(faults=(Fault(target, made.NOT_SUPPORTED),)))
    assert of_status("unknown", found()) == [f"{UUID}: {words}"]


@pytest.mark.parametrize("target", ["memory", "limit", "ecc", "temperature", "clocks"])
def test_a_number_that_it_does_not_have_costs_itself_only(simulate, target):
    simulate(Gpu(faults=(Fault(target, made.NOT_SUPPORTED),)))
    findings = found()
    assert "unknown" in " ".join(finding.message for finding in findings)
    assert len(findings) == 3


def test_without_the_counter_instant_power_gives_the_energy(simulate):
    faults = (Fault("counter", made.NOT_SUPPORTED), Fault("average", made.NOT_SUPPORTED))
    simulate(Gpu(name="Board 9000", faults=faults), driver="580.00")
    (message,) = of_status("warning", found())
    assert "can be read: instant power; not: energy counter: not_supported" in message
    assert "takes its energy from instant power" in message


def test_without_both_energy_would_be_empty(simulate):
    faults = tuple(Fault(name, made.NOT_SUPPORTED) for name in ("counter", "instant"))
    simulate(Gpu(name="Board 9000", faults=faults), driver="580.00")
    (message,) = of_status("warning", found())
    assert "it would be empty" in message


def test_how_often_a_sensor_changes_is_watched(simulate, monkeypatch):
    monkeypatch.setattr(module, "probe", partial(probe, duration_s=1.0))
    simulate(Gpu(name="Board 9000", counter_update_s=0.1), driver="580.00")
    (gpu,) = read_gpus(probed=True)
    assert gpu.update_periods_s["energy_counter_joules"] == pytest.approx(0.1, rel=0.3)
    (finding,) = [f for f in gpu_findings([gpu], used=True) if "can be read" in f.message]
    assert "energy counter (changes every " in finding.message


def test_an_average_that_is_missing_is_no_warning(simulate):
    faults = (Fault("average", made.NOT_SUPPORTED),)
    simulate(Gpu(name="Board 9000", faults=faults), driver="580.00")
    assert of_status("warning", found()) == []


def test_persistence_off_and_a_lowered_limit_are_reported(simulate):
    simulate(Gpu(name="Board 9000", limit_watts=500.0), driver="580.00")
    (read,) = read_gpus()
    device = replace(read.device, facts={**read.device.facts, "persistence_mode": False})
    seen = replace(read, device=device, default_limit_watts=700.0)
    findings = list(gpu_findings([seen], used=True))
    (message,) = of_status("warning", findings)
    assert f"sudo nvidia-smi -i {UUID} -pm 1" in message
    limit = "the power limit 500 W lies below the board's own, 700 W"
    assert f"{UUID}: {limit}" in of_status("note", findings)


def test_gpus_that_are_not_used_are_only_named(simulate):
    simulate(Gpu(mig=True, processes=((1, 0.0, 1e9),)))
    (finding,) = found(used=False)
    assert finding.status == "note"
    assert "not used" in finding.message


def test_a_driver_that_does_not_work(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(NoGpuError, match="the NVIDIA driver does not work"):
        read_gpus()


def test_a_driver_without_a_gpu(simulate):
    simulate()
    with pytest.raises(NoGpuError, match="shows no GPU"):
        read_gpus()


def test_no_driver_at_all(monkeypatch):
    def missing(_):
        raise OSError("no such library")

    monkeypatch.setattr(nvml, "ctypes", type("ctypes", (), {"CDLL": missing}))
    with pytest.raises(NoGpuError, match="there is no NVIDIA driver"):
        read_gpus()
    assert ctypes.CDLL is not missing


@pytest.mark.parametrize(
    ("wanted", "parallel", "words"),
    [
        ("all", 2, None),
        (None, 1, None),
        (2, 2, None),
        (["GPU-2"], 1, None),
        (3, 1, "asks for 3 GPUs, this machine has 2"),
        (["GPU-9"], 1, "this machine has no GPU-9, but GPU-1, GPU-2"),
        (1, 2, "tensor_parallel 2 needs as many GPUs, vllm gets 1"),
        (None, 4, "tensor_parallel 4 needs as many GPUs, vllm gets 2"),
    ],
)
def test_whether_there_are_enough(wanted, parallel, words):
    problems = list(enough_findings("vllm", wanted, parallel, [gpu(1), gpu(2)]))
    if words is None:
        assert problems == []
    else:
        (problem,) = problems
        assert problem.status == "problem"
        assert words in problem.message
