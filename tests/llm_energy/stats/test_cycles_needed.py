"""Cycles that a precision needs: by iterated t, by Stein's two stages, and by a pooled spread."""

import math
import random
from statistics import fmean, stdev

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from llm_energy.stats.cycles_needed import (
    cycles_for,
    cycles_needed,
    cycles_needed_stein,
    cycles_required,
    pooled_spread,
)
from llm_energy.stats.intervals import t_interval, t_quantile

KNOWN = [0.50, 0.52, 0.49, 0.51, 0.53]
VALUES = st.lists(st.floats(0.1, 1e3), min_size=3, max_size=9)


def test_a_known_answer():
    """t = 2.7764, cv = 0.031002: (2.7764 · 0.031002 / 0.02)² = 18.52."""
    assert cycles_required(KNOWN, 0.02) == 19


def test_a_surer_interval_requires_more():
    """t(4) = 4.6041 at 99 %: (4.6041 · 0.031002 / 0.02)² = 50.93."""
    assert cycles_required(KNOWN, 0.02, 0.99) == cycles_needed_stein(KNOWN, 0.02, 0.99) == 51


def test_equal_values_require_no_more():
    assert cycles_required([2.0, 2.0, 2.0], 0.02) == 3


def test_cycles_without_a_value_are_made_up_for():
    assert cycles_required([*KNOWN, None], 0.02) == 20


@pytest.mark.parametrize("values", [[], [None, None, None], [1.0, None, None]])
def test_without_two_values_nothing_is_known(values):
    assert cycles_required(values, 0.02) is None


@given(VALUES, st.floats(0.001, 0.5))
def test_no_fewer_than_the_first_and_more_for_a_narrower_target(values, target):
    required = cycles_required(values, target)
    assert required >= len(values)
    assert cycles_required(values, target / 2) >= required


@given(VALUES, st.floats(0.001, 1000))
def test_the_unit_of_the_metric_does_not_matter(values, factor):
    scaled = [factor * value for value in values]
    assert abs(cycles_required(scaled, 0.1) - cycles_required(values, 0.1)) <= 1  # rounding


@given(VALUES, st.lists(st.floats(0.1, 1e3), max_size=9))
def test_the_interval_is_the_first_stages_spread_over_all_cycles(first, further):
    assume(len(set(first)) > 1)
    interval = t_interval([*first, *further], pilot=first)
    n = len(first) + len(further)
    assert interval.half_width == pytest.approx(
        t_quantile(len(first) - 1) * stdev(first) / n**0.5, abs=1e-9
    )
    assert (interval.low + interval.high) / 2 == pytest.approx(fmean([*first, *further]))


def test_no_interval_without_a_spread_of_the_first_stage():
    assert t_interval([1.0, 2.0, 3.0], pilot=[1.0]) is None
    assert t_interval([1.0, 2.0, 3.0], pilot=[]) is None


def test_a_whole_second_stage_is_as_narrow_as_the_target():
    first = KNOWN
    further = [fmean(first)] * (cycles_required(first, 0.02) - len(first))
    interval = t_interval([*first, *further], pilot=first)
    assert interval.half_width / fmean(first) <= 0.02


def test_the_interval_covers_the_truth_as_often_as_it_claims():
    """1,000 campaigns: 95 % ± four standard errors of that share."""
    chance = random.Random(5)
    covered = 0
    for _ in range(1000):
        first = [chance.gauss(1.0, 0.03) for _ in range(5)]
        n = min(cycles_required(first, 0.02) or 5, 400)
        values = first + [chance.gauss(1.0, 0.03) for _ in range(n - 5)]
        interval = t_interval(values, pilot=values[:5])
        covered += interval.low <= 1.0 <= interval.high
    assert abs(covered / 1000 - 0.95) < 4 * (0.95 * 0.05 / 1000) ** 0.5


class TestIteratedT:
    def test_cycles_for_two_percent(self):
        assert cycles_needed(KNOWN, 0.02) == 12
        assert cycles_needed_stein(KNOWN, 0.02) == 19

    @pytest.mark.parametrize("confidence", [0.8, 0.99])
    def test_the_confidence_holds_at_each_number_of_cycles(self, confidence):
        n, allowed = cycles_needed(KNOWN, 0.02, confidence), 0.02 * fmean(KNOWN)

        def half_width(count):
            return t_quantile(count - 1, confidence) * stdev(KNOWN) / math.sqrt(count)

        assert half_width(n) <= allowed < half_width(n - 1)

    def test_one_value_shows_no_spread(self):
        assert cycles_needed([1.0], 0.02) is None

    def test_equal_values_need_two_cycles(self):
        assert cycles_needed([2.0, 2.0, 2.0], 0.02) == 2

    def test_a_half_width_of_nothing_is_refused(self):
        with pytest.raises(ValueError, match="must be positive"):
            cycles_needed(KNOWN, 0.0)

    @given(st.lists(st.floats(1.0, 2.0), min_size=2, max_size=8), st.floats(0.01, 0.2))
    def test_it_is_the_smallest_number_that_is_enough(self, values, target):
        n = cycles_needed(values, target)
        allowed = target * math.fsum(values) / len(values)

        def half_width(count):
            return t_quantile(count - 1) * stdev(values) / math.sqrt(count)

        assert half_width(n) <= allowed * (1 + 1e-9)
        assert n == 2 or half_width(n - 1) > allowed * (1 - 1e-9)


class TestPooledSpread:
    values = st.lists(st.floats(1.0, 100.0), min_size=2, max_size=6)

    def test_one_experiment_has_its_own_spread_and_the_chi_square_interval(self):
        """s = 0.0158114, cv = 0.031002; χ² with 4 degrees: 11.1433 and 0.484419."""
        spread = pooled_spread([[0.50, 0.52, 0.49, 0.51, 0.53]])
        assert spread.value == pytest.approx(0.031002, abs=1e-6)
        assert spread.low == pytest.approx(0.031002 * (4 / 11.1433) ** 0.5, rel=1e-4)
        assert spread.high == pytest.approx(0.031002 * (4 / 0.484419) ** 0.5, rel=1e-4)
        assert (spread.degrees_of_freedom, spread.experiments) == (4, 1)

    def test_experiments_of_other_levels_are_pooled_by_their_relative_spread(self):
        one, hundred = [1.0, 1.1], [100.0, 110.0]
        alone, both = pooled_spread([one]), pooled_spread([one, hundred])
        assert both.value == pytest.approx(alone.value)
        assert both.high < alone.high

    def test_experiments_with_fewer_than_two_values_are_left_out(self):
        assert pooled_spread([]) is None
        assert pooled_spread([[1.0], []]) is None
        assert pooled_spread([[1.0], [1.0, 1.1]]) == pooled_spread([[1.0, 1.1]])

    @given(st.lists(values, min_size=1, max_size=5))
    def test_the_interval_holds_the_value(self, experiments):
        spread = pooled_spread(experiments)
        assert spread.low <= spread.value <= spread.high

    @given(values, st.floats(0.01, 0.5))
    def test_cycles_are_those_that_one_experiment_with_that_spread_needs(self, values, target):
        spread = pooled_spread([values])
        assert (
            abs(cycles_for(spread.value, target) - cycles_needed(values, target)) <= 1
        )  # rounding
