"""Settings along an axis."""

import math
from itertools import pairwise

import pytest

from llm_energy.report.settings_figure import MOST_TICKS, spaced


def test_few_values_have_a_tick_each():
    assert spaced([1, 2, 3, 100], float) == [1, 2, 3, 100]


@pytest.mark.parametrize("place", [float, math.log2])
def test_of_many_values_those_have_one_that_have_room(place):
    values = list(range(4, 1004))
    kept = spaced(values, place)
    assert kept[0] == 4
    assert set(kept) <= set(values)
    assert MOST_TICKS // 2 < len(kept) <= MOST_TICKS + 1
    places = [place(value) for value in kept]
    room = (place(1003) - place(4)) / MOST_TICKS
    assert min(b - a for a, b in pairwise(places)) >= room
