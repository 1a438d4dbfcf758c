"""Bisection of a grid: always ends, never visits a point twice, finds the last good one."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_energy.stats.bisection import Bracket, bisect, most_points

counts = st.integers(1, 3000)


@given(counts, st.data())
def test_where_points_fall_once_the_last_good_one_is_found(count: int, data: st.DataObject) -> None:
    last = data.draw(st.integers(-1, count - 1))
    found = bisect(count, lambda point: point <= last)
    assert (found.low, found.high, found.next) == (last, last + 1, None)
    assert len(found.visited) <= most_points(count) == math.ceil(math.log2(count + 1))


@given(counts, st.randoms(use_true_random=False))
def test_however_judgements_scatter_the_search_ends(count: int, chance) -> None:
    judged: dict[int, bool] = {}
    found = bisect(count, lambda point: judged.setdefault(point, chance.random() < 0.5))
    assert found.next is None
    assert found.high == found.low + 1
    assert len(set(found.visited)) == len(found.visited) == len(judged) <= most_points(count)
    assert found.low == -1 or judged[found.low]
    assert found.high == count or not judged[found.high]


@given(counts, st.data())
def test_an_interrupted_search_goes_on_where_it_was(count: int, data: st.DataObject) -> None:
    """Each stage knows the judgements so far, and asks for the next point of the whole search."""
    last = data.draw(st.integers(-1, count - 1))
    whole = bisect(count, lambda point: point <= last)
    known: dict[int, bool] = {}
    for point in whole.visited:
        stage = bisect(count, known.get)
        assert stage.next == point
        assert stage.most == most_points(stage.high - stage.low - 1)
        assert len(whole.visited) <= len(stage.visited) + stage.most
        known[point] = point <= last
    assert bisect(count, known.get) == whole


def test_nothing_and_everything_good_are_told_apart() -> None:
    assert bisect(9, lambda _: False).low == -1
    assert bisect(9, lambda _: True) == Bracket(8, 9, (4, 6, 7, 8))


@pytest.mark.parametrize(("count", "most"), [(0, 0), (1, 1), (2, 2), (3, 2), (4, 3), (22, 5)])
def test_the_most_points_are_those_of_the_worst_case(count: int, most: int) -> None:
    lengths = [
        len(bisect(count, lambda p, last=last: p <= last).visited) for last in range(-1, count)
    ]
    assert max(lengths) == most_points(count) == most
