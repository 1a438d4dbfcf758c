"""Samples that depend on each other say less than their number."""

import random
from statistics import fmean

import pytest

from llm_energy.power.baseline import baseline, standard_error
from llm_energy.power.integration import Amount


def autoregressive(chance, count, *, rho, deviation):
    value, found = chance.gauss(0.0, deviation), []
    for _ in range(count):
        value = rho * value + chance.gauss(0.0, deviation * (1.0 - rho**2) ** 0.5)
        found.append(100.0 + value)
    return found


def mean_standard_error(*, rho):
    chance = random.Random(2026)
    series = [autoregressive(chance, 300, rho=rho, deviation=2.0) for _ in range(200)]
    return fmean(standard_error(values) for values in series)


def test_autocorrelated_power_is_as_unsure_as_it_is():
    # The textbook value is 2/√300 · √((1 + 0.9)/(1 - 0.9)) = 0.503; the estimator is 10 % low at
    # this length, as all are; to ignore the correlation would give 0.115.
    assert mean_standard_error(rho=0.9) == pytest.approx(0.503, rel=0.12)


def test_independent_power_is_not_punished():
    assert mean_standard_error(rho=0.0) == pytest.approx(2.0 / 300**0.5, rel=0.1)


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


def test_what_is_not_known_at_the_edges_adds_to_the_standard_error():
    found = baseline(Amount(3000.0, edge_uncertainty_joules=9.0), 30.0, [100.0] * 300)
    assert found.standard_error_watts == pytest.approx(0.3)


def test_an_energy_that_is_not_known_is_no_baseline():
    assert baseline(Amount(reason="no_sample_after"), 30.0, [100.0] * 300) is None
