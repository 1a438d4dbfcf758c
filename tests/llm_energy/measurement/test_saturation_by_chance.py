"""Verdicts on queues of a known load, M/D/1: how often chance decides them."""

from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from llm_energy.measurement.open_queue import saturation
from llm_energy.results.open_load import SATURATED, STABLE, UNDECIDED

Window = tuple[list[dict[str, Any]], tuple[float, float]]
WINDOWS = 300
WARMUP_S = 200.0
"""Services before each window, which begin with an empty queue."""


def windows(load: float, arrivals: int) -> Iterator[Window]:
    """Yield windows with so many arrivals on average, at one server that takes 1 s for each."""
    chance = Random(f"{load}/{arrivals}")
    end = arrivals / load
    for _ in range(WINDOWS):
        moment = free = -WARMUP_S
        requests = []
        while (moment := moment + chance.expovariate(load)) < end:
            free = max(moment, free) + 1.0
            requests.append({"scheduled": moment, "token_times": [free], "ended": free})
        yield requests, (0.0, end)


def shares(load: float, arrivals: int) -> dict[str, float]:
    verdicts = Counter(saturation(*window) for window in windows(load, arrivals))
    return {name: verdicts[name] / WINDOWS for name in (STABLE, SATURATED, UNDECIDED)}


@pytest.mark.parametrize(
    ("load", "arrivals", "most_undecided"),
    [
        (0.5, 40, 0.15),
        (0.5, 400, 0.02),
        (0.8, 40, 0.25),
        (0.8, 400, 0.15),
        (0.9, 40, 0.30),
        (0.9, 400, 0.25),
    ],
)
def test_a_queue_below_its_capacity_is_never_saturated(
    load: float, arrivals: int, most_undecided: float
) -> None:
    found = shares(load, arrivals)
    assert found[SATURATED] == 0.0
    assert found[UNDECIDED] <= most_undecided


def test_an_overload_is_seen_by_enough_arrivals() -> None:
    """The excess of n arrivals is n (1 - 1 / load), 133 of 400 at 1.5, and its limit 3 √n, 60."""
    assert shares(1.5, 400)[SATURATED] > 0.99
    assert shares(1.5, 40)[SATURATED] < 0.5
