"""The Pareto front, and what may be on it for all that is known."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_energy.metrics import JOULES_PER_OUTPUT_TOKEN, THROUGHPUT
from llm_energy.report.estimates import Estimate
from llm_energy.report.pareto import front


def estimate(metric, mean, half_width=None):
    low, high = (None, None) if half_width is None else (mean - half_width, mean + half_width)
    return Estimate(metric, "e", "e", (), "waves", 3, mean, low, high, (mean,), 0)


def pair(throughput, joules, half_width=0.01):
    return (
        estimate(THROUGHPUT, throughput, half_width),
        estimate(JOULES_PER_OUTPUT_TOKEN, joules, half_width),
    )


def test_more_for_less_beats():
    assert front([pair(10, 2), pair(20, 1)]) == ["beaten", "front"]


def test_more_for_more_is_a_choice():
    assert front([pair(10, 1), pair(20, 2)]) == ["front", "front"]


@pytest.mark.parametrize("half_width", [5, None])
def test_what_is_not_told_apart_may_be_on_the_front(half_width):
    assert front([pair(10, 2, half_width), pair(20, 1, half_width)]) == ["perhaps", "front"]


POINTS = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=8)


@given(POINTS)
def test_nothing_on_the_front_is_beaten_and_all_else_is(points):
    kinds = front([pair(*point) for point in points])
    assert "front" in kinds
    for (x, y), kind in zip(points, kinds, strict=True):
        beaten = any(a > x and b < y for a, b in points)
        assert (kind != "front") == beaten
