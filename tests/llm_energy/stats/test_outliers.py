"""Grubbs' test on cycles: a known answer, its level, and when no test is possible."""

import random

import pytest

from llm_energy.stats.outliers import critical, outlier

# NIST/SEMATECH e-Handbook 1.3.5.17.1, Tietjen and Moore's data (1972)
MASS_SPECTROMETER = [199.31, 199.53, 200.19, 200.82, 201.92, 201.95, 202.18, 245.57]


def test_the_example_of_the_nist_handbook():
    assert critical(8, level=0.10) == pytest.approx(2.032, abs=5e-4)  # one-sided 5 % there
    assert outlier(MASS_SPECTROMETER) == 7


def test_critical_values_of_iso_5725_2_at_one_percent():
    for n, expected in ((3, 1.155), (5, 1.764), (10, 2.482), (20, 3.001)):
        assert critical(n) == pytest.approx(expected, abs=5e-4)


def test_a_value_far_below_the_others_is_found_wherever_it_stands():
    assert outlier([0.50, 0.52, 0.49, 0.51, 0.10, 0.53]) == 4


def test_of_three_cycles_one_can_be_far_from_two_that_are_equal():
    assert outlier([1.0, 2.0, 1.0]) == 1  # (n − 1) / √n, the largest distance that is possible


def test_close_values_hold_no_outlier():
    assert outlier([0.50, 0.52, 0.49, 0.51, 0.53]) is None


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 9.0]])
def test_under_three_cycles_nothing_can_be_reported(values):
    assert outlier(values) is None


def test_equal_values_hold_no_outlier():
    assert outlier([2.0] * 5) is None


def test_one_normal_sample_in_a_hundred_is_named_by_chance():
    chance = random.Random(2026)
    samples = ([chance.gauss(1, 0.1) for _ in range(5)] for _ in range(4000))
    named = sum(outlier(sample) is not None for sample in samples)
    assert named == pytest.approx(40, abs=25)
