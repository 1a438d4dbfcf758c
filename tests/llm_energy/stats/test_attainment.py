"""Attainment against a share: clear only where cycles and requests both say so."""

import random

import pytest

from llm_energy.stats.attainment import Attainment, clear_side


def cycles(*shares: float, arrivals: int = 100) -> list[Attainment]:
    return [Attainment(round(share * arrivals), arrivals) for share in shares]


@pytest.mark.parametrize(
    ("shares", "side"),
    [
        ((1.0, 1.0, 1.0), "above"),
        ((0.5, 0.52, 0.49), "below"),
        ((0.97, 0.9, 0.98), None),  # scatters between cycles
        ((0.91, 0.91, 0.91), None),  # 300 requests cannot tell
        ((0.9, 0.9, 0.9), None),
        ((0.0, 0.0), "below"),
        ((1.0,), None),
        ((), None),
    ],
)
def test_the_side_of_the_share(shares: tuple[float, ...], side: str | None) -> None:
    assert clear_side(cycles(*shares), 0.9, tests=5) == side


def test_few_requests_that_are_all_good_say_nothing() -> None:
    """Without a scatter between cycles Student's t alone would be certain of anything."""
    assert clear_side(cycles(1.0, 1.0, 1.0, arrivals=5), 0.9, tests=5) is None


def test_an_attainment_of_exactly_one_can_be_asked_for() -> None:
    assert clear_side(cycles(1.0, 1.0, 1.0), 1.0, tests=5) is None
    assert clear_side(cycles(0.9, 0.91, 0.9), 1.0, tests=5) == "below"


def test_more_tests_make_it_harder_to_be_clear() -> None:
    some = cycles(0.97, 0.95, 0.98)
    assert clear_side(some, 0.9, tests=1) == "above"
    assert clear_side(some, 0.9, tests=9) is None


@pytest.mark.parametrize("spread", [0.0, 0.06])
def test_at_most_five_percent_of_tests_are_wrong_at_the_share_itself(spread: float) -> None:
    """The expected attainment is just below the share: `above` is wrong."""
    chance, wrong, runs = random.Random(7), 0, 2000
    for _ in range(runs):
        found = []
        for _ in range(3):
            share = min(1.0, max(0.0, chance.gauss(0.8, spread)))
            found.append(Attainment(sum(chance.random() < share for _ in range(40)), 40))
        wrong += clear_side(found, 0.8, tests=1) == "above"
    assert wrong / runs < 0.06
