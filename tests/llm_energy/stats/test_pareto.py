"""Who lies on the Pareto front, who may, and who is clearly beaten."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from llm_energy.stats.pareto import standings

NAN = float("nan")


def matrix(*rows):
    """Logarithms, less being better: one value for all blocks, or one for each."""
    return np.array([[row] * 3 if isinstance(row, float) else row for row in rows])


def statuses(first, second):
    return [standing.status for standing in standings(first, second)]


def test_a_clear_trade_off_leaves_all_on_the_front():
    found = standings(matrix(0.0, 1.0, 2.0), matrix(2.0, 1.0, 0.0))
    assert [(s.status, s.certain, s.beaten_by) for s in found] == [("front", True, None)] * 3


def test_what_another_clearly_beats_in_both_is_beaten_by_it():
    found = standings(matrix(0.0, 1.0), matrix(0.0, 1.0))
    assert [s.status for s in found] == ["front", "beaten"]
    assert found[1].beaten_by == 0


def test_better_in_one_and_equal_in_the_other_beats_nobody():
    assert statuses(matrix(0.0, 1.0), matrix(1.0, 1.0)) == ["front", "front"]


def test_what_scatters_is_not_clearly_beaten():
    scattered = [0.4, -0.2, 0.1]  # mean 0.1, far from clear with three pairs
    found = standings(matrix(0.0, scattered), matrix(0.0, scattered))
    assert [s.status for s in found] == ["front", "perhaps"]
    assert not found[0].certain  # the other is not clearly worse in anything


def test_scatter_that_both_share_is_taken_out_by_pairing():
    shared = np.array([5.0, -3.0, 1.0])
    first = np.array([shared, shared + np.array([0.10, 0.11, 0.09])])
    assert statuses(first, first) == ["front", "beaten"]


def test_under_three_pairs_nothing_is_clear():
    two = np.array([[0.0, 0.0], [1.0, 1.0]])
    assert statuses(two, two) == ["front", "perhaps"]


def test_without_a_shared_block_means_are_compared_and_nothing_is_clear():
    apart = np.array([[0.0, 0.0, 0.0, NAN, NAN, NAN], [NAN, NAN, NAN, 1.0, 1.0, 1.0]])
    assert statuses(apart, apart) == ["front", "perhaps"]


values = arrays(float, (6, 4), elements=st.floats(-3, 3).map(lambda value: round(value, 2)))


@given(values, values)
def test_somebody_is_always_on_the_front_and_nobody_is_beaten_by_the_beaten_alone(first, second):
    found = standings(first, second)
    assert any(s.status == "front" for s in found)
    assert all(s.beaten_by != index for index, s in enumerate(found))


@given(values, values)
def test_the_front_does_not_depend_on_which_metric_comes_first(first, second):
    assert statuses(first, second) == statuses(second, first)
