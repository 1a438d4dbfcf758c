"""Drift inside a window: seen where there is one, and not made of scatter."""

import dataclasses
import math
import random
from itertools import pairwise

import numpy as np
import pytest
from tests.llm_energy.power.made_power import phases, series_of

from llm_energy.measurement.window_drift import (
    DRIFT_LIMIT,
    drift_message,
    drifts,
    power_scatter_limit,
    scatter_limit,
    with_power,
)
from llm_energy.power.accounting import PIECES, EnergyAccount, account_energy
from llm_energy.results.energy import Energy
from llm_energy.results.parts import Drift
from worker.courses import Wave, t_quantile

THIRD = PIECES // 3


def wandering(chance, *, variation, correlation, count):
    """Values of mean 0 that depend on the one before."""
    value, values = chance.gauss(0.0, variation), []
    for _ in range(count):
        value = correlation * value
        value += chance.gauss(0.0, variation * math.sqrt(1.0 - correlation**2))
        values.append(value)
    return values


def window(values):
    """A window of 1 s, cut in pieces of its samples."""
    size = len(values) / PIECES
    edges = [round(piece * size) for piece in range(PIECES + 1)]
    return [
        Wave(a / len(values), b / len(values), sum(values[a:b]) / len(values))
        for a, b in pairwise(edges)
    ]


def change(waves, third=THIRD):
    first, last = (sum(w.amount for w in part) for part in (waves[:third], waves[-third:]))
    return last / first - 1.0


def flagged(course, *, variation, correlation, count, windows=200):
    """Number of windows in 200 that drift, by the limit alone and with scatter."""
    chance, alone, both = random.Random(2026), 0, 0
    for _ in range(windows):
        noise = wandering(chance, variation=variation, correlation=correlation, count=count)
        waves = window([1.0 + course(n / count) + each for n, each in enumerate(noise)])
        alone += abs(change(waves)) > DRIFT_LIMIT
        both += drifts(change(waves), scatter_limit(waves, third=THIRD))
    return alone, both


@pytest.mark.parametrize(
    ("variation", "correlation"), [(0.2, 0.0), (0.1, 0.5), (0.1, 0.9), (0.3, 0.9)]
)
def test_constant_windows_of_30_s_at_10_hz_are_not_flagged(variation, correlation):
    alone, both = flagged(lambda _: 0.0, variation=variation, correlation=correlation, count=300)
    assert alone >= 25
    assert both <= 6


@pytest.mark.parametrize(
    "course",
    [lambda t: 0.1 * t, lambda t: 0.08 * (t > 0.5), lambda t: -0.12 * math.exp(-4.0 * t)],
    ids=["line", "step", "approach"],
)
def test_a_true_drift_is_flagged_all_the_same(course):
    _, both = flagged(course, variation=0.02, correlation=0.9, count=300)
    assert both >= 150
    assert flagged(course, variation=0.0, correlation=0.0, count=300, windows=1) == (1, 1)


def test_waves_at_one_place_are_compared_with_each_other():
    lengths = [1.0, 3.0, 2.0] * 4
    ends = [sum(lengths[: n + 1]) for n in range(len(lengths))]
    waves = [
        Wave(end - length, end, 1.0, n % 3)
        for n, (end, length) in enumerate(zip(ends, lengths, strict=True))
    ]
    assert scatter_limit(waves, third=3) == pytest.approx(0.0, abs=1e-9)


def error(course, values):
    """Standard error of the change of relative values by one unit of the course, and its t."""
    steps, changes = np.array(course) - np.mean(course), np.array(values) / np.mean(values) - 1.0
    slope = (steps * changes).sum() / (steps**2).sum()
    rest, count = changes - slope * steps, len(values)
    seen = (rest[1:] * rest[:-1]).sum() / (rest**2).sum()
    correlation = min(seen + (1 + 4 * seen) / count, 0.9)
    visible = count >= 8 and correlation * math.sqrt(count) >= 2.33
    widening = (1 + correlation) / (1 - correlation) if visible else 1.0
    variance = (rest**2).sum() / (count - 2) * widening
    return t_quantile(0.99865, count - 2) * math.sqrt(variance / (steps**2).sum())


def limits_of(values):
    """The limits by a line, an approach and a step, of nine pieces of 1 s."""
    times = np.arange(9) + 0.5
    left = np.exp(-times / (9.0 / 4.0))
    thirds = left[:3].mean() - left[-3:].mean()
    ends = [*values[:3], *values[-3:]]
    return error(times, values) * 6.0, error(left, values) * thirds, error([0] * 3 + [1] * 3, ends)


def rough(seed):
    chance = random.Random(seed)
    return [chance.gauss(10.0, 1.0) for _ in range(9)]


def test_the_course_with_the_least_error_decides():
    deciding = set()
    for seed in range(30):
        waves = [Wave(100.0 + n, 101.0 + n, value) for n, value in enumerate(rough(seed))]
        limits = limits_of(rough(seed))
        assert scatter_limit(waves, third=3) == pytest.approx(min(limits))
        deciding.add(limits.index(min(limits)))
    assert deciding == {0, 1, 2}


def account_of(pieces, *, gaps_joules=None, joules=6000.0, change=0.05):
    energy = Energy.model_construct(energy_joules=joules, gap_uncertainty_joules=gaps_joules)
    return EnergyAccount(energy, [], change, pieces)


def test_gaps_count_by_three_uncertainties_of_a_third_beside_the_scatter_of_pieces():
    assert power_scatter_limit(account_of(None, gaps_joules=20.0)) == pytest.approx(0.03)
    for seed in range(10):
        scatter = min(limits_of(rough(seed)))
        pieces = tuple(rough(seed))
        assert power_scatter_limit(account_of(pieces)) == pytest.approx(scatter)
        both = power_scatter_limit(account_of(pieces, gaps_joules=20.0))
        assert both == pytest.approx(math.hypot(scatter, 0.03))


def test_without_pieces_and_gaps_energy_or_change_there_is_no_limit_of_power():
    assert power_scatter_limit(account_of(None)) is None
    for unknown in ({"joules": None}, {"joules": 0.0}, {"change": None}):
        assert power_scatter_limit(account_of((1.0,) * 9, gaps_joules=20.0, **unknown)) is None


def test_the_drift_of_power_joins_that_of_throughput():
    drift = Drift(throughput_relative=0.01, power_relative=None, throughput_scatter_limit=0.02)
    found = with_power(drift, account_of(None, gaps_joules=20.0))
    assert (found.throughput_relative, found.throughput_scatter_limit) == (0.01, 0.02)
    assert (found.power_relative, found.power_scatter_limit) == (0.05, pytest.approx(0.03))


def test_a_drift_is_reported_with_both_limits():
    assert drift_message(0.05, None) == "+5.0% (limit ±3%)"
    assert drift_message(-0.0512, 0.02) == "-5.1% (limit ±3%, scatter explains ±2.0%)"


def test_without_a_known_scatter_the_limit_decides_alone():
    assert drifts(0.031, None)
    assert not drifts(-0.03, None)
    assert not drifts(None, 0.0)


def power_drift(power, *, method="counter", lost=(0.0, 0.0)):
    """Return True where power changes by more than the limit in 10 s, and where it drifts."""
    series = series_of(power)
    kept = tuple(r for r in series.readings if not lost[0] < r.monotonic_s < lost[1])
    spans = phases(idle=(4.0, 9.0), window=(14.03, 24.03))
    found = account_energy(dataclasses.replace(series, readings=kept), spans, None, method=method)
    change = found.power_drift_relative
    return abs(change) > DRIFT_LIMIT, drifts(change, power_scatter_limit(found))


@pytest.mark.parametrize("method", ["counter", "integrated_instant"])
def test_scatter_of_a_constant_load_is_no_power_drift(method):
    chance, judged = random.Random(2026), []
    for _ in range(20):
        watts = wandering(chance, variation=60.0, correlation=0.8, count=302)

        def load(time_s, watts=watts):
            return 100.0 if time_s < 10.0 else 600.0 + watts[round(10 * time_s)]

        judged.append(power_drift(load, method=method))
    assert sum(beyond for beyond, _ in judged) >= 8
    assert sum(flagged for _, flagged in judged) <= 1


def test_a_ramp_is_a_power_drift_unless_a_gap_may_have_made_it():
    def ramp(time_s):
        return 590.0 if time_s < 10.0 else 600.0 + 3.0 * (time_s - 14.03)

    assert power_drift(ramp, method="integrated_instant") == (True, True)
    assert power_drift(ramp, method="integrated_instant", lost=(15.0, 15.55)) == (True, False)
