"""Samples that depend on each other say less than their number."""

import random
from statistics import fmean

import numpy as np
import pytest

from llm_energy.power.baseline import (
    Baseline,
    baseline,
    by_autoregression,
    by_positive_sequence,
    correlations_of,
    standard_error,
)
from llm_energy.power.integration import Amount


def autoregressive(chance, count, *, rho, deviation):
    value, found = chance.gauss(0.0, deviation), []
    for _ in range(count):
        value = rho * value + chance.gauss(0.0, deviation * (1.0 - rho**2) ** 0.5)
        found.append(100.0 + value)
    return found


def true_error(count, *, rho, deviation=2.0):
    """Standard deviation of the mean of `count` samples."""
    weights = sum((1.0 - lag / count) * rho**lag for lag in range(1, count))
    return deviation * ((1.0 + 2.0 * weights) / count) ** 0.5


@pytest.mark.parametrize("count", [20, 30, 100])
@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_autocorrelated_power_is_as_unsure_as_it_is(count, rho):
    # Geyer's estimate alone is 0.46 of the truth at 30 samples and 0.9, and 0.85 at 0.5.
    chance = random.Random(2026)
    series = [autoregressive(chance, count, rho=rho, deviation=2.0) for _ in range(200)]
    found = fmean(standard_error(values) for values in series)
    assert 0.97 < found / true_error(count, rho=rho) < 1.45


def correlations(values):
    centred = np.array(values) - np.mean(values)
    sums = [(centred[lag:] * centred[: len(values) - lag]).sum() for lag in range(len(values))]
    return np.array(sums) / sums[0], sums[0]


@pytest.mark.parametrize("rho", [-0.6, 0.0, 0.6, 0.95])
@pytest.mark.parametrize("count", [30, 31])
def test_geyers_estimate_is_the_sum_of_its_positive_pairs(rho, count):
    values = autoregressive(random.Random(5), count, rho=rho, deviation=2.0)
    lags, squares = correlations(values)
    pairs = lags[0 : count - 1 : 2] + lags[1:count:2]
    positive = pairs[: int(np.argmax(pairs <= 0))]
    time = max(1.0, 2 * positive.sum() - 1)
    expected = (squares / count / (count - 1) * time) ** 0.5
    assert by_positive_sequence(correlations_of(values)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("rho", [-0.6, 0.3, 0.6, 0.999])
def test_an_autoregressions_estimate_weights_each_lag(rho):
    """f = (1 + 2 Σ (1 − k/n) ρᵏ)/n, of which the closed form is used."""
    values = autoregressive(random.Random(5), 30, rho=rho, deviation=2.0)
    lags, squares = correlations(values)
    free = min(max((lags[1] + 1 / 30) / (1 - 4 / 30), 0.0), 1 - 1 / 30)
    share = (1 + 2 * sum((1 - k / 30) * free**k for k in range(1, 30))) / 30
    expected = (squares / 30 * share / (1 - share)) ** 0.5
    assert by_autoregression(correlations_of(values)) == pytest.approx(expected, rel=1e-9)


def test_a_sensor_that_repeats_its_values_is_no_surer_for_it():
    chance = random.Random(2026)
    series = [[chance.gauss(100.0, 2.0) for _ in range(20)] for _ in range(300)]
    repeated = [[value for value in values for _ in range(5)] for values in series]
    found = fmean(standard_error(values) for values in repeated)
    assert 0.97 < found / (2.0 / 20**0.5) < 1.6


def test_samples_that_alternate_are_never_surer_than_independent_ones():
    values = [99.0, 101.0] * 50
    assert standard_error(values) == pytest.approx(0.1005, rel=1e-3)


def test_constant_power_has_no_error():
    assert standard_error([100.0] * 20) == 0.0


def test_too_few_samples_have_no_standard_error():
    found = baseline(Amount(200.0), 2.0, [99.0, 101.0] * 4)
    assert found.power_watts == 100.0
    assert found.standard_error_watts is None
    assert found.deviation_watts == pytest.approx(1.069, abs=1e-3)


@pytest.mark.parametrize(
    ("watts", "deviation"), [([], 0.0), ([99.0], 0.0), ([99.0, 101.0], 2.0**0.5)]
)
def test_two_samples_show_how_single_ones_scatter(watts, deviation):
    assert baseline(Amount(200.0), 2.0, watts).deviation_watts == pytest.approx(deviation)


def test_ten_samples_have_a_standard_error():
    assert standard_error([99.0, 101.0] * 5) == pytest.approx(1.0 / 3.0)
    assert standard_error([99.0, 101.0] * 4 + [99.0]) is None


def test_a_baseline_without_a_standard_error_is_uncertain_by_the_scatter():
    assert Baseline(100.0, 0.5, 2.0).uncertainty_watts == 0.5
    assert Baseline(100.0, None, 2.0).uncertainty_watts == 2.0


def test_scatter_and_edges_add_up():
    found = baseline(Amount(3000.0, edge_uncertainty_joules=9.0), 30.0, [99.0, 101.0] * 5)
    assert found.standard_error_watts == pytest.approx(((1 / 3) ** 2 + 0.3**2) ** 0.5)


def test_what_is_not_known_at_the_edges_and_in_gaps_adds_to_the_standard_error():
    found = baseline(Amount(3000.0, edge_uncertainty_joules=9.0), 30.0, [100.0] * 300)
    assert found.standard_error_watts == pytest.approx(0.3)
    gap = Amount(3000.0, edge_uncertainty_joules=9.0, gap_bound=0.004 * 3**0.5)
    found = baseline(gap, 30.0, [100.0] * 300)
    assert found.standard_error_watts == pytest.approx(0.5)


def test_an_energy_that_is_not_known_is_no_baseline():
    assert baseline(Amount(reason="no_sample_after"), 30.0, [100.0] * 300) is None
