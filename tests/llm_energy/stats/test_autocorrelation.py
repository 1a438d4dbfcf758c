"""Dependence of cycles on the ones before them, against cases worked by hand and by simulation."""

import numpy as np
import pytest

from llm_energy.stats.autocorrelation import LEAST_CYCLES, autocorrelation

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
