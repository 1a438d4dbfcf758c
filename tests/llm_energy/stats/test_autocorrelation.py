"""Dependence of cycles on the ones before them, against cases worked by hand and by simulation."""

from itertools import permutations

import numpy as np
import pytest

from llm_energy.stats.autocorrelation import LEAST_CYCLES, autocorrelation

NAN = float("nan")
CHANCE = np.random.default_rng(1)


def courses(coefficient, *, cycles, rows=1):
    values = CHANCE.normal(size=(rows, cycles))
    for cycle in range(1, cycles):
        values[:, cycle] *= np.sqrt(1.0 - coefficient**2)
        values[:, cycle] += coefficient * values[:, cycle - 1]
    return 100.0 + values


def test_a_case_worked_by_hand():
    # Deviations -2 -1 0 1 2: products 2 + 0 + 0 + 2 over squares 10; the bias is (1 + 4 r) / n.
    found = autocorrelation(np.array([[98.0, 99.0, 100.0, 101.0, 102.0]]))
    assert found.coefficient == pytest.approx(0.4 + (1.0 + 1.6) / 5)
    assert found.p_value == pytest.approx(8 / 120)  # orders with a sum of at least 4
    assert found.cycles == 5


def test_experiments_are_pooled_relative_to_their_own_means_from_two_cycles_on():
    """2 % of 200 around it in two cycles add -1 to the products, and 2 to the squares."""
    rows = [[98.0, 99.0, 100.0, 101.0, 102.0], [198.0, 202.0, NAN, NAN, NAN], [9.0] + [NAN] * 4]
    found = autocorrelation(np.array(rows))
    assert found.coefficient == pytest.approx(0.25 + (1.0 + 1.0) / 5)


def test_a_steady_rise_is_nearly_a_coefficient_of_one():
    assert autocorrelation(np.arange(100.0, 120.0)[None, :]).coefficient == 0.99


def share_of_orders(values):
    rest = np.array(values) / np.mean(values) - 1.0
    orders = rest[np.array(list(permutations(range(len(values)))))]
    sums = (orders[:, 1:] * orders[:, :-1]).sum(axis=1)
    return (sums >= sums[0] - 1e-12).mean()


def test_up_to_seven_cycles_all_orders_are_compared():
    values = [101.0, 100.0, 103.0, 102.0, 104.0, 107.0, 105.0]
    assert autocorrelation(np.array([values])).p_value == share_of_orders(values)


def test_of_eight_cycles_the_orders_are_a_sample_that_is_the_same_again():
    values = [101.0, 100.0, 102.0, 104.0, 103.0, 105.0, 101.0, 103.0]
    expected = share_of_orders(values)
    assert 0.1 < expected < 0.4
    found = [autocorrelation(np.array([values])).p_value for _ in range(2)]
    assert found[0] == found[1] == pytest.approx(expected, abs=0.03)


def test_dependent_cycles_are_seen_and_independent_ones_are_not():
    seen = [autocorrelation(courses(0.8, cycles=20, rows=3)).p_value <= 0.05 for _ in range(20)]
    chance = [autocorrelation(courses(0.0, cycles=20, rows=3)).p_value <= 0.05 for _ in range(100)]
    assert sum(seen) >= 18
    assert sum(chance) <= 12


def test_what_experiments_of_one_cycle_share_is_no_dependence():
    """Four experiments that all follow one course tell no more than one of them."""
    shares = []
    for _ in range(100):
        rows = np.repeat(courses(0.0, cycles=6), 4, axis=0)
        shares.append(autocorrelation(rows).p_value <= 0.05)
    assert sum(shares) <= 12


def test_a_missing_cycle_breaks_no_more_than_its_pairs():
    values = courses(0.0, cycles=8, rows=2)
    values[0, 3] = np.nan
    assert 0.0 < autocorrelation(values).p_value <= 1.0


def test_few_cycles_and_constant_ones_show_nothing():
    assert autocorrelation(courses(0.9, cycles=LEAST_CYCLES - 1, rows=9)) is None
    assert autocorrelation(np.full((2, 6), 100.0)) is None
    assert autocorrelation(np.full((2, 6), np.nan)) is None
