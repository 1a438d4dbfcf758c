"""Idle power without an engine: only a change that is known to be one is flagged."""

import random

import pytest
from tests.llm_energy.power.made_power import GPU, reading

from llm_energy.measurement import host_idle
from llm_energy.power.sensor import Sensor
from llm_energy.power.series import Series
from llm_energy.runs.run_records import HostIdle


def record(watts, uncertainty_watts=0.0, *, device="GPU-1"):
    return HostIdle(0.0, {device: watts}, {device: uncertainty_watts})


def flagged(now, first, devices=("GPU-1",)):
    return [flag.code for flag in host_idle.flags(now, first, devices)] == ["idle_drift"]


@pytest.mark.parametrize(
    ("watts", "uncertainty_watts", "expected"),
    [
        (104.9, 0.0, False),
        (105.1, 0.0, True),
        (94.0, 0.1, True),
        (110.0, 2.0, True),  # 10 W, three times √(2² + 2²) W is 8.5 W
        (110.0, 2.5, False),
        (140.0, 2.5, True),
    ],
)
def test_a_change_must_exceed_its_limit_and_what_is_not_known_of_it(
    watts, uncertainty_watts, expected
):
    first = record(100.0, uncertainty_watts)
    assert flagged(record(watts, uncertainty_watts), first) is expected


def test_the_message_names_change_and_uncertainty():
    (flag,) = host_idle.flags(record(120.0, 1.0), record(100.0, 1.0), ["GPU-1"])
    assert "+20.0% against the run's first cycle, standard uncertainty 1.4%" in flag.message


def test_uncertainties_of_devices_add():
    now = HostIdle(0.0, {"a": 110.0, "b": 110.0}, {"a": 3.0, "b": 3.0})
    first = HostIdle(0.0, {"a": 100.0, "b": 100.0}, {})
    assert flagged(now, first, ["a", "b"])
    assert not flagged(HostIdle(0.0, now.watts, {"a": 4.0, "b": 4.0}), first, ["a", "b"])


def test_what_was_not_taken_is_no_drift():
    assert not flagged(None, record(100.0))
    assert not flagged(record(100.0), None)
    assert not flagged(record(200.0, device="GPU-2"), record(100.0))


def wandering(chance, *, mean_watts, deviation_watts, count):
    """Readings at 10 Hz of a power that is constant but for autocorrelated noise."""
    value, watts = chance.gauss(0.0, deviation_watts), []
    for _ in range(count):
        value = 0.9 * value + chance.gauss(0.0, deviation_watts * (1 - 0.9**2) ** 0.5)
        watts.append(mean_watts + value)
    return tuple(reading(n / 10, instant_power_watts=w) for n, w in enumerate(watts))


def taken(chance, *, mean_watts=20.0):
    readings = wandering(chance, mean_watts=mean_watts, deviation_watts=2.0, count=30)
    sensor = Sensor(GPU, Series((GPU,), readings, 10.0))
    baseline = sensor.baseline("integrated_instant", 0.0, 2.9)
    assert baseline is not None
    return record(baseline.power_watts, baseline.uncertainty_watts)


def test_constant_devices_that_scatter_are_not_flagged():
    # The limit of 5 % alone flags about half of them.
    chance = random.Random(2026)
    pairs = [(taken(chance), taken(chance)) for _ in range(200)]
    assert sum(abs(a.watts["GPU-1"] / b.watts["GPU-1"] - 1.0) > 0.05 for a, b in pairs) > 60
    assert sum(flagged(a, b) for a, b in pairs) <= 10


def test_a_true_change_is_flagged_all_the_same():
    chance = random.Random(2026)
    pairs = [(taken(chance, mean_watts=35.0), taken(chance)) for _ in range(200)]
    assert sum(flagged(a, b) for a, b in pairs) >= 180
