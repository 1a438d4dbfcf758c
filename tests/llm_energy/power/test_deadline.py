"""A driver that never answers: everything ends all the same, with the reason `timeout`."""

import threading
import time
from functools import partial

import pytest
from tests.llm_energy.power.hanging_driver import sampled_reasons
from tests.llm_energy.power.made_power import GPU, phases, reading
from tests.nvml_simulator.scenario import Gpu

from llm_energy.power import deadline
from llm_energy.power.accounting import account_energy
from llm_energy.power.deadline import DriverCalls, TimedMeter
from llm_energy.power.meter import QUANTITIES
from llm_energy.power.sampler import Sampler

DEADLINE_S = 0.2
"""For calls that are never answered; others have the long deadline of the product."""


class SilentMeter:
    """Answers until it is silenced, then not before it is released."""

    devices = (GPU,)

    def __init__(self, monkeypatch):
        self.silent = threading.Event()
        self.released = threading.Event()
        self._monkeypatch = monkeypatch

    def silence(self):
        self._monkeypatch.setattr(deadline, "READ_DEADLINE_S", DEADLINE_S)
        self.silent.set()

    def release(self):
        self._monkeypatch.undo()
        self.silent.clear()
        self.released.set()

    def read(self, _device, *, slow):  # noqa: ARG002 - the interface's names
        if self.silent.is_set():
            self.released.wait()
        return reading(time.monotonic(), energy_counter_joules=100.0 * time.monotonic())

    def close(self):
        pass


@pytest.fixture
def silent(monkeypatch):
    meter = SilentMeter(monkeypatch)
    yield meter
    meter.released.set()


def test_a_reading_that_does_not_come_in_time_says_so(silent):
    meter = TimedMeter.open(lambda: silent)
    assert meter.read(GPU, slow=True).unavailable == {}
    silent.silence()
    for _ in range(2):
        assert meter.read(GPU, slow=True).unavailable == dict.fromkeys(QUANTITIES, "timeout")
    meter.close()


def test_a_driver_that_answers_again_is_read_again(silent):
    meter = TimedMeter.open(lambda: silent)
    silent.silence()
    meter.read(GPU, slow=False)
    silent.release()
    found = [meter.read(GPU, slow=False)]
    while found[-1].unavailable:
        time.sleep(0.01)
        found.append(meter.read(GPU, slow=False))
    assert found[-1].energy_counter_joules is not None


def test_a_sampler_ends_although_its_meter_hangs(silent):
    meter = TimedMeter.open(lambda: silent)
    with Sampler([meter], rate_hz=50.0) as sampler:
        time.sleep(0.2)
        silent.silence()
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
    def test_from_the_start(self, simulate, nvml_library, tmp_path):
        hangs = tmp_path / "hangs"
        hangs.touch()
        simulate(Gpu(hangs_file=hangs))
        found = sampled_reasons(nvml_library, hangs, Gpu().uuid, open_deadline_s=0.5)
        assert found == []  # no GPU is metered

    def test_while_it_is_sampled(self, simulate, nvml_library, tmp_path):
        hangs = tmp_path / "hangs"
        simulate(Gpu(hangs_file=hangs))
        reasons = sampled_reasons(nvml_library, hangs, Gpu().uuid)
        assert (reasons[0], reasons[-1]) == ("None", "timeout")


def test_the_energy_of_a_window_that_the_driver_did_not_answer_in(silent):
    meter = TimedMeter.open(lambda: silent)
    with Sampler([meter], rate_hz=50.0) as sampler:
        time.sleep(0.2)
        start = time.monotonic()
        silent.silence()
        time.sleep(0.2)
        end = time.monotonic()
    found = account_energy(sampler.series(), phases(window=(start, end)), None).energy
    assert (found.energy_joules, found.reason) == (None, "timeout")
