"""A driver that never answers: everything ends all the same, with the reason `timeout`."""

import os
import subprocess
import sys
import threading
import time
from functools import partial

import pytest
from tests.llm_energy.power.made_power import GPU, phases, reading
from tests.nvml_simulator.scenario import Gpu

from llm_energy.power import deadline
from llm_energy.power.accounting import account_energy
from llm_energy.power.deadline import DriverCalls, TimedMeter
from llm_energy.power.meter import QUANTITIES
from llm_energy.power.sampler import Sampler

DEADLINE_S = 0.2

SAMPLE_A_HANGING_DRIVER = """
import sys
import time
from pathlib import Path
from llm_energy.power import deadline, sources
from llm_energy.power.sampler import Sampler
deadline.OPEN_DEADLINE_S = deadline.READ_DEADLINE_S = 1.0
meters = sources.open_meters(cpu_model="Made CPU", gpus=True)
with Sampler(meters, rate_hz=20.0) as sampler:
    time.sleep(0.5)
    Path(sys.argv[1]).touch()
    time.sleep(0.5)
for meter in meters:
    meter.close()
for reading in sampler.series().readings:
    print(reading.unavailable.get("energy_counter_joules"))
"""


class SilentMeter:
    """Answers until it is silenced, then not before it is released."""

    devices = (GPU,)

    def __init__(self):
        self.silent = threading.Event()
        self.released = threading.Event()

    def read(self, _device, *, slow):  # noqa: ARG002 - the interface's names
        if self.silent.is_set():
            self.released.wait()
        return reading(time.monotonic(), energy_counter_joules=100.0 * time.monotonic())

    def close(self):
        pass


@pytest.fixture
def silent(monkeypatch):
    monkeypatch.setattr(deadline, "READ_DEADLINE_S", DEADLINE_S)
    meter = SilentMeter()
    yield meter
    meter.released.set()


def test_a_reading_that_does_not_come_in_time_says_so(silent):
    meter = TimedMeter.open(lambda: silent)
    assert meter.read(GPU, slow=True).unavailable == {}
    silent.silent.set()
    for _ in range(2):
        assert meter.read(GPU, slow=True).unavailable == dict.fromkeys(QUANTITIES, "timeout")
    meter.close()


def test_a_driver_that_answers_again_is_read_again(silent):
    meter = TimedMeter.open(lambda: silent)
    silent.silent.set()
    meter.read(GPU, slow=False)
    silent.silent.clear()
    silent.released.set()
    found = [meter.read(GPU, slow=False)]
    while found[-1].unavailable:
        time.sleep(0.01)
        found.append(meter.read(GPU, slow=False))
    assert found[-1].energy_counter_joules is not None


def test_a_sampler_ends_although_its_meter_hangs(silent):
    meter = TimedMeter.open(lambda: silent)
    with Sampler([meter], rate_hz=50.0) as sampler:
        time.sleep(0.2)
        silent.silent.set()
        time.sleep(0.1)
    assert sampler.series().readings[-1].unavailable["energy_counter_joules"] == "timeout"


def test_a_meter_that_cannot_be_opened_is_none():
    def broken():
        raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no text")

    assert TimedMeter.open(broken) is None
    assert TimedMeter.open(lambda: None) is None


def test_a_call_gives_what_it_returns_or_raises():
    calls = DriverCalls()
    assert calls.call(partial(max, 3, 4), deadline_s=60.0) == 4
    with pytest.raises(ZeroDivisionError):
        calls.call(lambda: 1 / 0, deadline_s=60.0)
    calls.end()


class TestNvmlThatNeverReturns:
    """In a process of its own, which must end although a thread of it never does."""

    def reasons(self, nvml_library, hanging):
        environment = os.environ | {
            "LD_LIBRARY_PATH": str(nvml_library.parent),
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        command = [sys.executable, "-c", SAMPLE_A_HANGING_DRIVER, str(hanging)]
        ran = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True, timeout=120
        )
        return ran.stdout.split()

    def test_from_the_start(self, simulate, nvml_library, tmp_path):
        hanging = tmp_path / "hangs"
        hanging.touch()
        simulate(Gpu(hangs_file=hanging))
        assert self.reasons(nvml_library, hanging) == []  # no GPU is metered

    def test_while_it_is_sampled(self, simulate, nvml_library, tmp_path):
        hanging = tmp_path / "hangs"
        simulate(Gpu(hangs_file=hanging))
        reasons = self.reasons(nvml_library, hanging)
        assert (reasons[0], reasons[-1]) == ("None", "timeout")


def test_the_energy_of_a_window_that_the_driver_did_not_answer_in(silent):
    meter = TimedMeter.open(lambda: silent)
    with Sampler([meter], rate_hz=50.0) as sampler:
        time.sleep(0.2)
        start = time.monotonic()
        silent.silent.set()
        time.sleep(0.2)
        end = time.monotonic()
    found = account_energy(sampler.series(), phases(window=(start, end)), None).energy
    assert (found.energy_joules, found.reason) == (None, "timeout")
