"""Energy as the difference of a counter: known answers, wraps, and when it is refused."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.llm_energy.power.made_power import samples

from llm_energy.power.counter import counter_energy, unwrapped
from llm_energy.power.counter_edges import interval_powers
from llm_energy.power.series import Samples

RAPL_RANGE = 262143.328850


def test_a_counter_of_6000_j_in_10_s():
    counter = Samples((0.0, 10.0), (5_000_000 / 1e3, 11_000_000 / 1e3))
    amount = counter_energy(counter, 0.0, 10.0, update_period_s=0.1)
    assert amount.joules == 6000.0
    assert interval_powers(counter) == Samples((5.0,), (600.0,))


def test_edges_between_readings_are_interpolated():
    counter = samples(lambda t: 600.0 * t, start=0.0, end=12.0, rate=10.0)
    amount = counter_energy(counter, 0.33, 10.33, update_period_s=0.1)
    assert amount.joules == pytest.approx(6000.0, rel=1e-12)


def test_a_rapl_counter_wraps_by_its_range():
    counter = unwrapped(Samples((0.0, 1.0), (262143.0, 0.5)), RAPL_RANGE)
    amount = counter_energy(counter, 0.0, 1.0, update_period_s=0.001)
    assert amount.joules == pytest.approx(0.82885, abs=1e-6)


class TestFalls:
    """A counter of a package that draws 65 W and can draw 500 W at most, read at 10 Hz."""

    BOUND_WATTS = 500.0

    def energy(self, joules):
        raw = samples(lambda t: joules(t) % RAPL_RANGE, start=0.0, end=3.0, rate=10.0)
        counter = unwrapped(raw, RAPL_RANGE, power_bound_watts=self.BOUND_WATTS)
        return counter_energy(
            counter,
            0.0,
            3.0,
            update_period_s=0.001,
            power_bound_watts=self.BOUND_WATTS,
            range_joules=RAPL_RANGE,
        )

    def test_a_driver_that_starts_counting_again_gives_no_energy(self):
        amount = self.energy(lambda t: 65.0 * t + (45_000.0 if t < 1.5 else 0.0))
        assert (amount.joules, amount.reason) == (None, "counter_reset")

    def test_a_wrap_that_the_package_can_have_drawn_counts(self):
        amount = self.energy(lambda t: 65.0 * t + RAPL_RANGE - 100.0)
        assert amount.joules == pytest.approx(195.0)

    @pytest.mark.parametrize("jump_joules", [200.0, 45_000.0])
    def test_a_rise_that_no_package_draws_is_no_energy(self, jump_joules):
        amount = self.energy(lambda t: 65.0 * t + (jump_joules if t > 1.5 else 0.0))
        assert (amount.joules, amount.reason) == (None, "counter_jumped")

    def test_a_reading_that_came_late_is_no_jump(self):
        raw = Samples((0.0, 0.1, 0.11, 0.2, 3.0), (0.0, 40.0, 80.0, 90.0, 1200.0))
        amount = counter_energy(raw, 0.0, 3.0, update_period_s=0.001, power_bound_watts=500.0)
        assert amount.joules == 1200.0

    @pytest.mark.parametrize(("rise", "reason"), [(840.0, None), (860.0, "counter_jumped")])
    def test_three_updates_may_come_late_at_once(self, rise, reason):
        """500 W over 0.1 s between the readings, 0.1 s of their stamps and three updates."""
        raw = Samples((0.0, 0.1, 3.0), (0.0, rise, 1200.0))
        amount = counter_energy(raw, 0.0, 3.0, update_period_s=0.5, power_bound_watts=500.0)
        assert amount.reason == reason

    @pytest.mark.parametrize(("after", "passed"), [(40.0, 1000.0), (60.0, 0.0)])
    def test_a_fall_is_a_wrap_up_to_the_bound_over_the_time_between_the_readings(
        self, after, passed
    ):
        """500 W over 0.1 s, and 0.1 s of the stamps: 100 J."""
        raw = Samples((5.0, 5.1, 5.2), (950.0, after, after), (0.01, 0.02, 0.03))
        found = unwrapped(raw, 1000.0, power_bound_watts=500.0)
        assert found == Samples(raw.times_s, (950.0, *[after + passed] * 2), raw.read_s)

    def test_a_fall_in_a_gap_is_no_wrap(self):
        """A reset 7 kJ below the range would be 875 W, where 65 W were drawn."""
        times = tuple(n / 10 for n in (*range(30), *range(110, 140)))
        raw = Samples(times, tuple(65.0 * t + (255_000.0 if t < 5.0 else -400.0) for t in times))
        counter = unwrapped(raw, RAPL_RANGE, power_bound_watts=1000.0)
        amount = counter_energy(counter, 0.5, 13.5, update_period_s=0.001)
        assert (amount.joules, amount.reason) == (None, "counter_reset")

    def test_a_gap_in_which_it_could_wrap_twice_is_refused(self):
        raw = Samples((0.0, 1.0, 600.0, 601.0), (0.0, 65.0, 39_000.0, 39_065.0))
        limits = {"power_bound_watts": 500.0, "range_joules": RAPL_RANGE}
        amount = counter_energy(raw, 0.0, 601.0, update_period_s=0.001, **limits)
        assert (amount.joules, amount.reason) == (None, "sampling_gap")
        later = Samples(tuple(time_s + 900.0 for time_s in raw.times_s[:2]), raw.values[:2])
        assert counter_energy(later, 900.0, 901.0, update_period_s=0.001, **limits).joules == 65.0


@given(
    steps=st.lists(st.floats(0.0, 99.0), min_size=2, max_size=50),
    start=st.floats(0.0, 99.0),
)
def test_unwrapping_gives_back_what_was_counted(steps, start):
    true, raw, total = [], [], start
    for step in steps:
        true.append(total)
        raw.append(total % 100.0)
        total += step
    times = tuple(float(i) for i in range(len(raw)))
    found = unwrapped(Samples(times, tuple(raw)), 100.0)
    differences = [value - found.values[0] for value in found.values]
    assert differences == pytest.approx([value - true[0] for value in true], abs=1e-6)


def test_a_counter_that_goes_backwards_was_reset():
    counter = Samples((0.0, 1.0, 2.0, 3.0), (5.0, 6.0, 0.5, 1.5))
    assert counter_energy(counter, 0.5, 2.5, update_period_s=0.1).reason == "counter_reset"


def test_a_reset_before_the_interval_does_not_matter():
    counter = Samples((0.0, 1.0, 2.0, 3.0), (5.0, 0.0, 1.0, 2.0))
    assert counter_energy(counter, 1.5, 2.5, update_period_s=0.1).joules == 1.0


def test_a_counter_that_does_not_move_is_not_0_joules():
    counter = Samples((0.0, 1.0, 2.0), (5.0, 5.0, 5.0))
    amount = counter_energy(counter, 0.5, 1.5, update_period_s=0.1)
    assert (amount.joules, amount.reason) == (None, "counter_stuck")


@pytest.mark.parametrize(("still_s", "reason"), [(1.2, None), (2.0, "counter_stuck")])
def test_a_counter_that_stands_still_for_a_while_has_no_energy(still_s, reason):
    """It stops at 4 s under 600 W, and does not make up for it."""
    counter = samples(
        lambda t: 600.0 * (min(t, 4.0) + max(0.0, t - 4.0 - still_s)),
        start=0.0,
        end=12.0,
        rate=10.0,
    )
    assert counter_energy(counter, 1.0, 11.0, update_period_s=0.1).reason == reason


def test_a_counter_that_stands_still_from_its_first_reading_on_has_no_energy():
    counter = Samples((0.0, 2.0, 2.1, 3.0), (5.0, 5.0, 60.0, 600.0))
    assert counter_energy(counter, 0.0, 3.0, update_period_s=0.1).reason == "counter_stuck"


def test_a_counter_whose_update_period_nobody_could_see_is_refused():
    counter = Samples((0.0, 1.0, 2.0), (5.0, 5.0, 9.0))
    assert counter_energy(counter, 0.5, 1.5, update_period_s=None).reason == "counter_stuck"


@pytest.mark.parametrize(
    ("span", "reason"),
    [((-1.0, 2.0), "no_sample_before"), ((1.0, 4.0), "no_sample_after")],
)
def test_the_counter_outside_of_its_readings_is_never_guessed(span, reason):
    counter = samples(lambda t: 100.0 * t, start=0.0, end=3.0, rate=10.0)
    assert counter_energy(counter, *span, update_period_s=0.1).reason == reason


def test_gaps_cost_a_counter_nothing():
    counter = Samples((0.0, 0.1, 9.9, 10.0), (0.0, 60.0, 5940.0, 6000.0))
    amount = counter_energy(counter, 0.05, 9.95, update_period_s=0.1)
    assert amount.joules == pytest.approx(5940.0)
    assert amount.gap_bound == 0.0


def test_the_edges_of_a_staircase_are_uncertain_by_its_update_period():
    counter = samples(lambda t: 600.0 * t, start=0.0, end=12.0, rate=10.0)
    amount = counter_energy(counter, 1.0, 11.0, update_period_s=0.1)
    assert amount.edge_uncertainty_joules == pytest.approx(0.1 * 600.0 / math.sqrt(6.0))


@given(update=st.floats(0.05, 0.4), start=st.floats(1.0, 2.0), duration=st.floats(3.0, 30.0))
def test_a_staircase_is_never_wrong_by_more_than_one_step(update, start, duration):
    counter = samples(
        lambda t: 600.0 * update * math.floor(t / update), start=0.0, end=35.0, rate=100.0
    )
    amount = counter_energy(counter, start, start + duration, update_period_s=update)
    assert amount.joules == pytest.approx(600.0 * duration, abs=600.0 * (update + 0.011))
