"""Drift inside a window: seen where there is one, and not made of scatter."""

import dataclasses
import math
import random
from itertools import pairwise

import pytest
from tests.llm_energy.power.made_power import phases, series_of

from llm_energy.measurement.window_drift import (
    DRIFT_LIMIT,
    drifts,
    power_scatter_limit,
    scatter_limit,
)
from llm_energy.power.accounting import PIECES, account_energy
from worker.courses import Wave

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
