"""Attainment: its interval, and its side of a share, by cycles and requests together."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from llm_energy.stats.attainment import Attainment, attainment_interval, clear_side
from llm_energy.stats.intervals import Interval, t_interval


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


class TestWrongDecisions:
    """At the share itself each decision is wrong: `above` just below it, `below` on it."""

    def wrong(
        self, share: float, together: float, *, arrivals: int = 400, count: int = 3, tests: int = 1
    ) -> tuple[float, float]:
        """Return how often either is decided.

        Args:
            together: correlation of two requests of a cycle: misses in bursts.
        """
        chance, runs = np.random.default_rng(7), 1000
        shares = np.full((runs, count), share)
        if together:
            ends = (1 / together - 1) * np.array((share, 1 - share))
            shares = chance.beta(*ends, (runs, count))
        sides = [
            clear_side([Attainment(good, arrivals) for good in row], share, tests=tests)
            for row in chance.binomial(arrivals, shares).tolist()
        ]
        return sides.count("above") / runs, sides.count("below") / runs

    @pytest.mark.parametrize("share", [0.8, 0.9, 0.99])
    @pytest.mark.parametrize(("arrivals", "count"), [(400, 3), (400, 5), (60, 3)])
    def test_of_independent_requests_few_are_wrong(
        self, share: float, arrivals: int, count: int
    ) -> None:
        assert max(self.wrong(share, 0.0, arrivals=arrivals, count=count)) < 0.06

    @pytest.mark.parametrize("together", [0.02, 0.05, 0.1])
    def test_of_bursts_far_from_all_few_are_wrong(self, together: float) -> None:
        assert max(self.wrong(0.9, together)) < 0.08
        assert max(self.wrong(0.9, together, tests=6)) < 0.05

    @pytest.mark.parametrize(("tests", "most"), [(1, 0.14), (6, 0.08)])
    def test_of_rare_bursts_near_all_good_requests_more_are_wrong(
        self, tests: int, most: float
    ) -> None:
        """Most cycles have none of them. Student's t and all requests together were wrong in 26 %
        of such tests (13 % of six), because the spread is least where the mean is too high."""
        assert max(self.wrong(0.99, 0.02, tests=tests)) < most


def test_it_is_the_interval_of_the_mean_attainment_that_decides() -> None:
    for shares in ((0.97, 0.95, 0.98), (0.9, 0.7, 0.8), (1.0, 1.0, 1.0)):
        own = interval(cycles(*shares))
        two_sided = 2  # of its limits, 2.5 % each
        for share in (own.low - 1e-9, own.low + 1e-9):
            side = clear_side(cycles(*shares), share, tests=two_sided)
            assert (side == "above") == (share < own.low)
        for share in (own.high - 1e-9, own.high + 1e-9):
            side = clear_side(cycles(*shares), share, tests=two_sided)
            assert (side == "below") == (share > own.high)


def interval(found: list[Attainment]) -> Interval:
    over_cycles = t_interval([cycle.share for cycle in found])
    assert over_cycles is not None
    return attainment_interval(found, over_cycles)


class TestTheInterval:
    @pytest.mark.parametrize("share", [0.0, 0.9, 1.0])
    def test_without_a_spread_it_is_the_binomial_one_of_all_requests(self, share: float) -> None:
        found = interval(cycles(share, share, share))
        known = stats.binomtest(round(300 * share), 300).proportion_ci(0.95, "exact")
        assert (found.low, found.high) == pytest.approx((known.low, known.high))
        assert found.high - found.low > 0.01

    def test_cycles_that_scatter_count_as_fewer_requests(self) -> None:
        """By hand: s/√n 0.00882, t 4.303, U 0.0380, n* = 0.9667 · 0.0333 · (1.968 / 0.0380)²."""
        found = interval(cycles(0.97, 0.95, 0.98))
        known = stats.beta.ppf(0.025, 83.7, 3.89), stats.beta.ppf(0.975, 84.7, 2.89)
        assert (found.low, found.high) == pytest.approx(known, abs=1e-3)

    @given(
        st.lists(
            st.integers(0, 200).flatmap(
                lambda n: st.builds(Attainment, st.integers(0, n), st.just(n))
            ),
            min_size=2,
            max_size=8,
        )
    )
    def test_it_has_a_width_and_holds_the_mean_within_0_and_1(
        self, found: list[Attainment]
    ) -> None:
        own = interval(found)
        mean = sum(cycle.share for cycle in found) / len(found)
        assert 0.0 <= own.low < own.high <= 1.0
        assert own.low <= mean + 1e-12
        assert mean - 1e-12 <= own.high

    @pytest.mark.parametrize("share", [0.9, 0.99, 0.999])
    @pytest.mark.parametrize("count", [3, 5])
    def test_it_holds_the_expected_attainment(self, share: float, count: int) -> None:
        chance, held, runs = random.Random(7), 0, 400
        for _ in range(runs):
            goods = [sum(chance.random() < share for _ in range(50)) for _ in range(count)]
            own = interval([Attainment(good, 50) for good in goods])
            held += own.low <= share <= own.high
        assert held / runs > 0.94
