"""A few cycles of many experiments tell more of the spread than a few cycles of one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_energy.stats.intervals import cycles_needed
from llm_energy.stats.spread import cycles_for, pooled_spread

VALUES = st.lists(st.floats(1.0, 100.0), min_size=2, max_size=6)


def test_one_experiment_has_its_own_spread_and_the_chi_square_interval():
    """s = 0.0158114, cv = 0.031002; χ² with 4 degrees: 11.1433 and 0.484419."""
    spread = pooled_spread([[0.50, 0.52, 0.49, 0.51, 0.53]])
    assert spread.value == pytest.approx(0.031002, abs=1e-6)
    assert spread.low == pytest.approx(0.031002 * (4 / 11.1433) ** 0.5, rel=1e-4)
    assert spread.high == pytest.approx(0.031002 * (4 / 0.484419) ** 0.5, rel=1e-4)
    assert (spread.degrees_of_freedom, spread.experiments) == (4, 1)


def test_experiments_of_other_levels_are_pooled_by_their_relative_spread():
    one, hundred = [1.0, 1.1], [100.0, 110.0]
    alone, both = pooled_spread([one]), pooled_spread([one, hundred])
    assert both.value == pytest.approx(alone.value)
    assert both.high < alone.high


def test_what_has_fewer_than_two_values_says_nothing():
    assert pooled_spread([]) is None
    assert pooled_spread([[1.0], []]) is None
    assert pooled_spread([[1.0], [1.0, 1.1]]) == pooled_spread([[1.0, 1.1]])


@given(st.lists(VALUES, min_size=1, max_size=5))
def test_the_interval_holds_the_value(experiments):
    spread = pooled_spread(experiments)
    assert spread.low <= spread.value <= spread.high


@given(VALUES, st.floats(0.01, 0.5))
def test_cycles_are_those_that_one_experiment_with_that_spread_needs(values, target):
    spread = pooled_spread([values])
    assert abs(cycles_for(spread.value, target) - cycles_needed(values, target)) <= 1  # rounding
