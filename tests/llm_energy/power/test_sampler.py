"""The sampler brackets what it covers, and no sensor can end it."""

import time
from itertools import pairwise

import pytest
from tests.llm_energy.power.made_power import GPU, powercap, reading
from tests.waiting import wait_until

from llm_energy.power.rapl import RaplMeter
from llm_energy.power.sampler import Sampler


class BrokenMeter:
    devices = (GPU,)

    def read(self, _device, *, slow):  # noqa: ARG002 - the interface's names
        raise OSError("the bus is gone")

    def close(self):
        pass


class SlowMeter:
    """Takes a known time for each reading."""

    devices = (GPU,)

    def __init__(self, read_s):
        self.read_s = read_s
        self.slow_readings = 0

    def read(self, _device, *, slow):
        self.slow_readings += slow
        time.sleep(self.read_s)
        return reading(time.monotonic(), instant_power_watts=100.0)

    def close(self):
        pass


def test_what_happens_inside_lies_between_two_readings(tmp_path):
    root = powercap(tmp_path, {"intel-rapl:0": ("package-0", 5), "intel-rapl:1": ("psys", 7)})
    meter = RaplMeter.open(root, cpu_model="Made CPU")
    with Sampler([meter], rate_hz=100.0) as sampler:
        start = time.monotonic()
        time.sleep(0.1)
        end = time.monotonic()
    series = sampler.series()
    assert series.rate_hz == 100.0
    for device in meter.devices:
        assert series.samples(device, "energy_counter_joules").uncovered(start, end) is None


def test_readings_are_in_order_of_time_and_may_be_looked_at_on_the_way():
    with Sampler([SlowMeter(0.0)], rate_hz=50.0) as sampler:
        time.sleep(0.1)
        so_far = sampler.series()
        time.sleep(0.05)
    times = [reading.monotonic_s for reading in sampler.series().readings]
    assert times == sorted(times)
    assert len(so_far.readings) < len(times)


def test_a_broken_meter_costs_its_readings_only():
    with Sampler([BrokenMeter(), SlowMeter(0.0)], rate_hz=50.0) as sampler:
        wait_until(lambda: len(sampler.series().readings) > 4, what="each is read three times")
    broken = [r for r in sampler.series().readings if r.unavailable]
    sound = [r for r in sampler.series().readings if r.instant_power_watts == 100.0]
    assert set(broken[0].unavailable.values()) == {"read_failed"}
    assert len(broken) == len(sound)


def test_deadlines_that_a_slow_sensor_missed_are_not_made_up_in_a_burst():
    with Sampler([SlowMeter(0.05)], rate_hz=100.0) as sampler:
        time.sleep(0.3)
    times = [reading.monotonic_s for reading in sampler.series().readings]
    # Sleeping cannot end early, so this holds however busy the machine is.
    assert all(later - earlier >= 0.05 for earlier, later in pairwise(times))


def test_the_state_is_requested_at_the_first_and_the_last_reading(monkeypatch):
    monkeypatch.setattr("llm_energy.power.sampler.SLOW_PERIOD_S", 600.0)
    meter = SlowMeter(0.0)
    with Sampler([meter], rate_hz=100.0):
        pass
    assert meter.slow_readings == 2


def test_no_meter_is_an_empty_series():
    with Sampler([], rate_hz=10.0) as sampler:
        pass
    assert sampler.series().devices == ()
    assert sampler.series().readings == ()


def test_stopping_twice_changes_nothing():
    with Sampler([SlowMeter(0.0)], rate_hz=10.0) as sampler:
        pass
    before = sampler.series()
    sampler.stop()
    assert sampler.series() == before


@pytest.mark.parametrize("rate_hz", [0.0, 0.5, 101.0])
def test_a_rate_out_of_range_is_refused(rate_hz):
    with pytest.raises(ValueError, match=r"outside 1 to 100 Hz"):
        Sampler([], rate_hz=rate_hz)
