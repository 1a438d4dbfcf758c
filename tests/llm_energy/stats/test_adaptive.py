"""The number of cycles is decided once, by the first ones, and the interval belongs to that."""

import random
from statistics import fmean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_energy.stats.adaptive import cycles_asked, two_stage_interval
from llm_energy.stats.intervals import t_quantile

KNOWN = [0.50, 0.52, 0.49, 0.51, 0.53]
VALUES = st.lists(st.floats(0.1, 1e3), min_size=3, max_size=9)


def test_a_known_answer():
    """t = 2.7764, cv = 0.031002: (2.7764 · 0.031002 / 0.02)² = 18.52."""
    assert cycles_asked(KNOWN, 0.02) == 19


def test_equal_values_ask_for_no_more():
    assert cycles_asked([2.0, 2.0, 2.0], 0.02) == 3


def test_cycles_without_a_value_are_made_up_for():
    assert cycles_asked([*KNOWN, None], 0.02) == 20


@pytest.mark.parametrize("values", [[], [None, None, None], [1.0, None, None]])
def test_without_two_values_nothing_is_known(values):
    assert cycles_asked(values, 0.02) is None


@given(VALUES, st.floats(0.001, 0.5))
def test_no_fewer_than_the_first_and_more_for_a_narrower_target(values, target):
    asked = cycles_asked(values, target)
    assert asked >= len(values)
    assert cycles_asked(values, target / 2) >= asked


@given(VALUES, st.floats(0.001, 1000))
def test_the_unit_of_the_metric_does_not_matter(values, factor):
    scaled = [factor * value for value in values]
    assert abs(cycles_asked(scaled, 0.1) - cycles_asked(values, 0.1)) <= 1  # rounding


@given(VALUES, st.lists(st.floats(0.1, 1e3), max_size=9))
def test_the_interval_is_the_first_stages_spread_over_all_cycles(first, further):
    interval = two_stage_interval([*first, *further], len(first))
    n = len(first) + len(further)
    assert interval.half_width == pytest.approx(
        t_quantile(len(first) - 1) * stdev(first) / n**0.5, abs=1e-9
    )
    assert (interval.low + interval.high) / 2 == pytest.approx(fmean([*first, *further]))


def test_no_interval_before_the_first_stage_is_whole():
    assert two_stage_interval([1.0, 2.0], 3) is None
    assert two_stage_interval([1.0], 1) is None


def test_a_second_stage_that_was_asked_for_is_as_narrow_as_the_target():
    first = KNOWN
    further = [fmean(first)] * (cycles_asked(first, 0.02) - len(first))
    interval = two_stage_interval([*first, *further], len(first))
    assert interval.half_width / fmean(first) <= 0.02


def test_it_covers_the_truth_as_often_as_it_says():
    """1,000 campaigns: 95 % ± four standard errors of that share."""
    chance = random.Random(5)
    covered = 0
    for _ in range(1000):
        first = [chance.gauss(1.0, 0.03) for _ in range(5)]
        n = min(cycles_asked(first, 0.02) or 5, 400)
        values = first + [chance.gauss(1.0, 0.03) for _ in range(n - 5)]
        interval = two_stage_interval(values, 5)
        covered += interval.low <= 1.0 <= interval.high
    assert abs(covered / 1000 - 0.95) < 4 * (0.95 * 0.05 / 1000) ** 0.5
