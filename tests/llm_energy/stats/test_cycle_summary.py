"""One metric of one experiment over its cycles."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_energy.stats.cycle_summary import summarise

A = [0.50, 0.52, 0.49, 0.51, 0.53]


def test_five_cycles_give_every_statistic():
    summary = summarise(A)
    assert (summary.n, summary.median, summary.minimum, summary.maximum) == (5, 0.51, 0.49, 0.53)
    assert summary.mean == pytest.approx(0.51)
    assert summary.standard_deviation == pytest.approx(0.0158114, abs=5e-8)
    assert summary.coefficient_of_variation == pytest.approx(0.0310027, abs=5e-8)
    assert summary.relative_half_width == pytest.approx(0.0385, abs=5e-5)
    assert (summary.cycles_needed, summary.cycles_needed_stein) == (12, 19)


def test_one_cycle_gives_a_value_and_no_interval():
    summary = summarise([0.5])
    assert (summary.n, summary.mean, summary.median, summary.geometric_mean) == (1, 0.5, 0.5, 0.5)
    assert summary.standard_deviation is None
    assert summary.t_interval is None
    assert summary.log_t_interval is None
    assert summary.relative_half_width is None


def test_below_five_cycles_no_number_of_cycles_is_foretold():
    summary = summarise(A[:4])
    assert summary.cycles_needed is None
    assert summary.cycles_needed_stein is None


def test_a_mean_of_zero_has_no_relative_spread():
    summary = summarise([-1.0, 1.0])
    assert summary.coefficient_of_variation is None
    assert summary.relative_half_width is None


def test_an_experiment_without_values_has_no_summary():
    with pytest.raises(ValueError, match="nothing to summarise"):
        summarise([])


@given(st.lists(st.floats(1e-3, 1e3), min_size=2, max_size=12), st.floats(1e-3, 1e3))
def test_a_change_of_unit_changes_the_unit_and_nothing_else(values, factor):
    plain, scaled = summarise(values), summarise([value * factor for value in values])
    assert scaled.mean == pytest.approx(plain.mean * factor)
    assert scaled.t_interval.low == pytest.approx(plain.t_interval.low * factor, abs=1e-6 * factor)
    assert scaled.relative_half_width == pytest.approx(plain.relative_half_width, abs=1e-9)
