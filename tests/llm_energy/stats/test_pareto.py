"""Experiments that are non-dominated, dominated, or not distinguishable from either."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from llm_energy.stats.intervals import t_interval
from llm_energy.stats.pareto import standings

NAN = float("nan")


def matrix(*rows):
    """Logarithms, less being better: one value for all blocks, or one for each."""
    return np.array([[row] * 3 if isinstance(row, float) else row for row in rows])


def statuses(first, second):
    return [standing.status for standing in standings(first, second)]


def test_a_clear_trade_off_leaves_all_non_dominated():
    found = standings(matrix(0.0, 1.0, 2.0), matrix(2.0, 1.0, 0.0))
    assert {(s.status, s.certain, s.dominated_by) for s in found} == {("non_dominated", True, None)}


def test_an_experiment_clearly_worse_in_both_is_dominated():
    found = standings(matrix(0.0, 1.0), matrix(0.0, 1.0))
    assert [s.status for s in found] == ["non_dominated", "dominated"]
    assert found[1].dominated_by == 0
    assert found[1].certain is True


def test_better_in_one_and_equal_in_the_other_dominates_nothing():
    assert statuses(matrix(0.0, 1.0), matrix(1.0, 1.0)) == ["non_dominated", "non_dominated"]


def test_a_scattered_experiment_is_not_distinguishable():
    scattered = [0.4, -0.2, 0.1]  # mean 0.1, far from clear with three pairs
    found = standings(matrix(0.0, scattered), matrix(0.0, scattered))
    assert [s.status for s in found] == ["non_dominated", "not_distinguishable"]
    assert not found[0].certain  # the other is not clearly worse in anything
    assert (found[1].certain, found[1].dominated_by) == (False, 0)


def test_scatter_that_both_share_is_taken_out_by_pairing():
    shared = np.array([5.0, -3.0, 1.0])
    first = np.array([shared, shared + np.array([0.10, 0.11, 0.09])])
    assert statuses(first, first) == ["non_dominated", "dominated"]


def test_after_a_second_stage_the_scatter_of_the_first_blocks_decides():
    scattered = [0.4, -0.2, 0.1, *[0.1] * 17]
    rows = np.array([[0.0] * 20, scattered])
    assert statuses(rows, rows) == ["non_dominated", "dominated"]
    found = standings(rows, rows, pilot=[True] * 3 + [False] * 17)
    assert [s.status for s in found] == ["non_dominated", "not_distinguishable"]


def test_under_three_pairs_nothing_is_clear():
    two = np.array([[0.0, 0.0], [1.0, 1.0]])
    assert statuses(two, two) == ["non_dominated", "not_distinguishable"]


def test_equal_experiments_are_non_dominated_and_neither_is_clearly_so():
    found = standings(matrix(0.0, 0.0), matrix(0.0, 0.0))
    assert [(s.status, s.certain) for s in found] == [("non_dominated", False)] * 2


def test_one_shared_block_decides_and_not_the_means():
    shared = np.array([[0.0, 9.0], [1.0, NAN]])
    assert statuses(shared, shared) == ["non_dominated", "not_distinguishable"]


def test_without_a_shared_block_means_are_compared_and_nothing_is_clear():
    apart = np.array([[0.0, 0.0, 0.0, NAN, NAN, NAN], [NAN, NAN, NAN, 1.0, 1.0, 1.0]])
    assert statuses(apart, apart) == ["non_dominated", "not_distinguishable"]


def test_without_a_shared_block_it_is_the_means_whatever_their_number_of_blocks():
    apart = np.array([[2.0, NAN, NAN, NAN], [NAN, 1.0, 1.0, 1.0]])
    assert statuses(apart, apart) == ["not_distinguishable", "non_dominated"]


@pytest.mark.filterwarnings("error")
def test_an_experiment_without_a_value_neither_dominates_nor_warns():
    lost = np.array([[0.0] * 4, [NAN] * 4, [1.0, NAN, NAN, NAN]])
    assert statuses(lost, lost) == ["non_dominated", "non_dominated", "not_distinguishable"]


@pytest.mark.parametrize("confidence", [0.5, 0.8, 0.95])
@pytest.mark.parametrize("pilot", [None, (True, True, True, False, False)])
def test_clear_is_what_the_t_interval_of_the_paired_logarithms_says(confidence, pilot):
    draw = np.random.default_rng(8)
    for _ in range(40):
        first, second = draw.normal(size=(2, 4, 5)) + 1.5 * draw.normal(size=(2, 4, 1))
        first[draw.random(first.shape) < 0.1] = NAN
        found = standings(first, second, confidence, pilot=pilot)
        for row, standing in enumerate(found):
            sides = [
                [t_of(m[other] - m[row], confidence, pilot) for m in (first, second)]
                for other in range(4)
                if other != row
            ]
            dominated = any(all(t and t.high < 0 for t in pair) for pair in sides)
            assert (standing.status == "dominated") == dominated
            settled = all(any(t and t.low > 0 for t in pair) for pair in sides)
            assert standing.certain == (dominated or settled)


def t_of(differences, confidence, pilot):
    """Student's or Stein's interval of the pairs that there are; None of fewer than three."""
    there = np.isfinite(differences)
    known = differences[there if pilot is None else there & np.array(pilot)]
    if len(known) < 3:
        return None
    return t_interval(list(differences[there]), confidence, pilot=list(known))


values = arrays(float, (6, 4), elements=st.floats(-3, 3).map(lambda value: round(value, 2)))


@given(values, values)
def test_one_is_always_non_dominated_and_none_is_dominated_by_itself(first, second):
    found = standings(first, second)
    assert any(s.status == "non_dominated" for s in found)
    assert all(s.dominated_by != index for index, s in enumerate(found))


@given(values, values)
def test_the_front_does_not_depend_on_which_metric_comes_first(first, second):
    assert statuses(first, second) == statuses(second, first)


@given(st.integers(2, 6), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_a_block_that_nothing_was_measured_in_changes_nothing(experiments, blocks, seed):
    first, second = np.random.default_rng(seed).normal(size=(2, experiments, blocks))
    nothing = np.full((experiments, 1), np.nan)
    assert standings(first, second) == standings(
        np.hstack([first, nothing]), np.hstack([second, nothing])
    )
