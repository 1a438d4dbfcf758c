"""Settings along an axis."""

import math
from itertools import pairwise

import pytest

from llm_energy.report.axes import MOST_TICKS, told_apart


def test_few_values_have_a_tick_each():
    assert told_apart([1, 2, 3, 100], float) == [1, 2, 3, 100]


@pytest.mark.parametrize("place", [float, math.log2])
def test_of_many_values_those_have_one_that_have_room(place):
    values = list(range(4, 1004))
    told = told_apart(values, place)
    assert told[0] == 4
    assert set(told) <= set(values)
    assert MOST_TICKS // 2 < len(told) <= MOST_TICKS + 1
    places = [place(value) for value in told]
    room = (place(1003) - place(4)) / MOST_TICKS
    assert min(b - a for a, b in pairwise(places)) >= room
