"""The spread between devices: known answers, limits, and how often its intervals hold the truth."""

import random
from statistics import fmean

import pytest
from scipy import stats

from llm_energy.stats.device_spread import device_spread
from llm_energy.stats.intervals import standard_error, t_interval, total_uncertainty

BALANCED = [10.0, 11.0, 20.0, 21.0, 30.0, 31.0]
DEVICES = ["a", "a", "b", "b", "c", "c"]


def test_with_as_many_cycles_on_each_it_is_the_interval_of_the_devices_means():
    found = device_spread(BALANCED, DEVICES)
    means = [10.5, 20.5, 30.5]
    assert found.degrees_of_freedom == pytest.approx(2.0)
    assert found.standard_error == pytest.approx(10.0 / 3**0.5)
    assert found.between == pytest.approx((100.0 - 0.5 / 2) ** 0.5)
    interval = t_interval(BALANCED, devices=DEVICES)
    expected = stats.t.interval(0.95, 2, loc=fmean(means), scale=stats.sem(means))
    assert (interval.low, interval.high) == pytest.approx(expected)


def test_an_unbalanced_example_worked_by_hand():
    """Squares between 7.2 over 1 degree of freedom, within 4 over 3; n0 = 2.4, component 2.4444."""
    found = device_spread([1.0, 3.0, 2.0, 3.0, 6.0 - 0.5], ["a", "a", "a", "b", "b"])
    between, within = 5 * 0 + 3 * (2.0 - 2.9) ** 2 + 2 * (4.25 - 2.9) ** 2, 2.0 + 3.125
    component = (between - within / 3) / 2.4
    assert found.between == pytest.approx(component**0.5)
    variance = component * (0.6**2 + 0.4**2) + within / 3 / 5
    assert found.standard_error == pytest.approx(variance**0.5)


@pytest.mark.parametrize(
    ("values", "devices"),
    [
        ([1.0, 2.0, 3.0], "aaa"),
        ([1.0, 2.0, 3.0], "abc"),
        ([1.0, 3.0, 1.0, 3.0], "aabb"),
        ([1.0], "a"),
    ],
)
def test_where_it_cannot_be_distinguished_the_interval_is_that_of_the_cycles(values, devices):
    assert device_spread(values, devices) is None
    assert t_interval(values, devices=devices) == t_interval(values)
    assert standard_error(values, devices=devices) == standard_error(values)


def test_an_interval_never_becomes_narrower_by_it():
    chance = random.Random(7)
    for _ in range(200):
        values = [chance.gauss(10.0, 1.0) for _ in range(9)]
        devices = [chance.randrange(4) for _ in values]
        with_devices, without = t_interval(values, devices=devices), t_interval(values)
        assert with_devices.half_width >= without.half_width
        total = total_uncertainty(values, limits=[0.01], devices=devices)
        assert total.interval.half_width >= with_devices.half_width


@pytest.mark.parametrize(("devices", "cycles"), [(4, 3), (8, 2)])
def test_intervals_hold_the_mean_of_the_model_where_those_of_the_cycles_do_not(devices, cycles):
    chance, held, held_without, rounds = random.Random(2026), 0, 0, 1000
    for _ in range(rounds):
        values, names = [], []
        for device in range(devices):
            effect = chance.gauss(0.0, 1.0)
            values += [10.0 + effect + chance.gauss(0.0, 1.0) for _ in range(cycles)]
            names += [device] * cycles
        interval, without = t_interval(values, devices=names), t_interval(values)
        held += interval.low <= 10.0 <= interval.high
        held_without += without.low <= 10.0 <= without.high
    assert held / rounds > 0.92
    assert held_without / rounds < 0.90
