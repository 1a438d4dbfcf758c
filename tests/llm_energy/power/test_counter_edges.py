"""The uncertainty at the edges of a counter, against energies that are known."""

import math
import random

import pytest
from tests.llm_energy.power.made_power import samples

from llm_energy.power.counter import counter_energy
from llm_energy.power.counter_edges import (
    interval_powers,
    resolved_powers,
    roughness,
    update_uncertainty,
)
from llm_energy.power.power_range import ANY_POWER, PowerRange
from llm_energy.power.series import Samples

HIGH, LOW = 600.0, 200.0


class Waves:
    """Power that is high for a share of each period, then low."""

    def __init__(self, period_s, share=0.4):
        self.period_s, self.share = period_s, share

    def joules(self, t):
        whole, part = divmod(t, self.period_s)
        high_s = self.share * self.period_s
        each = high_s * HIGH + (self.period_s - high_s) * LOW
        return whole * each + min(part, high_s) * HIGH + max(0.0, part - high_s) * LOW

    def watts(self, t):
        return HIGH if t % self.period_s < self.share * self.period_s else LOW


def share_held(waves, *, rate, update_s, duration_s, instant, windows=150):
    """Share of windows whose error is within twice the stated standard uncertainty."""
    chance, held = random.Random(2026), 0
    for _ in range(windows):
        phase, begin = chance.uniform(0.0, update_s), chance.uniform(0.0, 50.0)
        times = [begin + n / rate + chance.uniform(0.0, 0.003) for n in range(3)]
        while times[-1] < begin + duration_s + 4.0 / rate:
            times.append(begin + len(times) / rate + chance.uniform(0.0, 0.003))
        seen = [math.floor((t - phase) / update_s) * update_s + phase for t in times]
        counter = Samples(tuple(times), tuple(map(waves.joules, seen)))
        power = Samples(tuple(times), tuple(map(waves.watts, times)) if instant else ())
        start = chance.uniform(times[1], times[2])
        found = counter_energy(
            counter,
            start,
            start + duration_s,
            update_period_s=update_s,
            power=power if instant else Samples((), ()),
            possible=PowerRange(100.0, 700.0),
        )
        true = waves.joules(start + duration_s) - waves.joules(start)
        held += abs(found.joules - true) <= 2 * found.edge_uncertainty_joules
    return held / windows


@pytest.mark.parametrize("instant", [True, False])
@pytest.mark.parametrize("period_s", [0.31, 1.03, 4.1])
def test_waves_of_alternating_power_are_covered(period_s, instant):
    share = share_held(Waves(period_s), rate=10.0, update_s=0.1, duration_s=10.0, instant=instant)
    assert share >= 0.95


@pytest.mark.parametrize("instant", [True, False])
@pytest.mark.parametrize("period_s", [0.06, 0.31, 1.03, 2.3, 4.1])
def test_a_counter_that_is_read_more_slowly_than_it_changes_is_covered(period_s, instant):
    """Once a second, also where the waves keep nearly in time with the readings."""
    share = share_held(Waves(period_s), rate=1.0, update_s=0.02, duration_s=10.0, instant=instant)
    assert share >= 0.93


@pytest.mark.parametrize(("period_s", "instant"), [(0.06, False), (0.103, True)])
def test_waves_shorter_than_the_readings_are_covered(period_s, instant):
    """By how far readings lie off a line, and by the power beside where they keep in time."""
    share = share_held(Waves(period_s), rate=10.0, update_s=0.001, duration_s=4.0, instant=instant)
    assert share >= 0.93


@pytest.mark.parametrize(
    ("low", "squared"), [(600.0, 1 / 6), (450.0, 1 / 6), (200.0, 11 / 54), (0.0, 1 / 3)]
)
def test_the_worse_of_like_and_unlike_edges_counts(low, squared):
    found = update_uncertainty(PowerRange(low, 600.0), 0.1)
    assert found == pytest.approx(0.1 * 600.0 * math.sqrt(squared))


def test_a_step_between_two_readings_can_hide_what_both_powers_allow():
    """A counter without lag, read each 0.1 s; power steps from 100 to 600 W inside one reading."""

    def joules(t):
        return 100.0 * t if t < 5.05 else 505.0 + 600.0 * (t - 5.05)

    counter = samples(joules, start=0.0, end=12.0, rate=10.0)
    steady = counter_energy(counter, 6.02, 11.02, update_period_s=0.001)
    stepping = counter_energy(counter, 5.02, 11.02, update_period_s=0.001)
    assert steady.edge_uncertainty_joules < 0.3
    hidden = 0.1 * 250.0 * 250.0 / 500.0 / math.sqrt(3.0)
    assert hidden < stepping.edge_uncertainty_joules < 1.1 * hidden


def test_readings_on_the_edges_leave_only_the_counters_own_lag():
    counter = samples(lambda t: 600.0 * t, start=0.0, end=12.0, rate=10.0)
    found = counter_energy(counter, 1.0, 11.0, update_period_s=0.1)
    assert found.edge_uncertainty_joules == pytest.approx(0.1 * 600.0 / math.sqrt(6.0))


def test_unlike_powers_at_the_edges_count_with_the_difference_of_their_lags():
    counter = samples(lambda t: 600.0 * min(t, 6.0) + 1e-6 * t, start=0.0, end=12.0, rate=10.0)
    found = counter_energy(counter, 1.0, 11.0, update_period_s=0.1)
    expected = 0.1 * math.sqrt(600.0**2 / 12.0 + 600.0**2 / 4.0)
    assert found.edge_uncertainty_joules == pytest.approx(expected)


def test_an_edge_inside_a_long_pause_between_readings_is_bounded_by_what_can_be_drawn():
    counter = Samples((0.0, 0.1, 4.1, 4.2, 9.0), (0.0, 50.0, 2050.0, 2100.0, 4500.0))
    limits = {"update_period_s": 0.001, "power_bound_watts": 3000.0}
    found = counter_energy(counter, 2.1, 9.0, possible=PowerRange(100.0, 700.0), **limits)
    hidden = 4.0 * 200.0 * 400.0 / 600.0 / math.sqrt(3.0)
    assert found.edge_uncertainty_joules == pytest.approx(hidden, rel=0.01)
    assert counter_energy(counter, 2.1, 9.0, **limits).edge_uncertainty_joules > hidden


def test_half_of_the_duration_of_a_reading_counts_at_each_edge():
    counter = samples(lambda t: 600.0 * t, start=0.0, end=12.0, rate=10.0)
    slow = Samples(counter.times_s, counter.values, (0.04,) * len(counter))
    found = counter_energy(slow, 1.03, 11.03, update_period_s=0.001)
    expected = 600.0 * math.hypot(0.02 * math.sqrt(2.0 / 3.0), 0.001 / math.sqrt(6.0))
    assert found.edge_uncertainty_joules == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("happens_s", [1.95, 12.15])
@pytest.mark.parametrize("step_joules", [-45_000.0, 20_000.0])
def test_a_counter_that_was_reset_or_jumped_beside_the_interval_is_as_certain_as_any(
    happens_s, step_joules
):
    """Else 45 kJ in a tenth of a second are 450 kW, and 650 J are uncertain by 3 kJ."""
    limits = {"update_period_s": 0.001, "power_bound_watts": 250.0}

    def edge_joules(step):
        raw = samples(lambda t: 65.0 * t + (t > happens_s) * step, start=0.0, end=20.0, rate=10.0)
        return counter_energy(raw, 2.03, 12.03, **limits).edge_uncertainty_joules

    assert edge_joules(step_joules) == pytest.approx(edge_joules(0.0))


def test_power_that_no_device_draws_is_none():
    counter = Samples((0.0, 1.0, 2.0, 3.0, 4.0, 5.0), (500.0, 600.0, 0.0, 100.0, 401.0, 401.0))
    assert interval_powers(counter, bound_watts=300.0) == Samples(
        (0.5, 2.5, 4.5), (100.0, 100.0, 0.0)
    )
    assert interval_powers(counter, bound_watts=301.0).values == (100.0, 100.0, 301.0, 0.0)


def test_powers_are_taken_over_several_updates():
    staircase = samples(lambda t: 60.0 * math.floor(10 * t), start=0.005, end=20.0, rate=100.0)
    assert max(interval_powers(staircase).values) == pytest.approx(6000.0)
    assert max(resolved_powers(staircase, 0.1, bound_watts=6000.0).values) == pytest.approx(
        600.0, rel=0.21
    )


def test_readings_exactly_as_far_apart_as_required_are_kept():
    counter = Samples((0.0, 0.25, 0.5, 0.75, 1.0), (0.0, 50.0, 100.0, 200.0, 300.0))
    assert interval_powers(counter, 0.5) == Samples((0.25, 0.75), (200.0, 400.0))


@pytest.mark.parametrize(
    ("spike_s", "counts"), [(0.55, False), (0.65, True), (11.35, True), (11.45, False)]
)
def test_power_that_a_late_update_may_hold_counts(spike_s, counts):
    """One sampling period and one update before the first edge, or after the last: 0.3 s."""
    counter = samples(lambda t: 600.0 * t, start=0.0, end=13.0, rate=10.0)
    beside = samples(
        lambda t: 1000.0 if abs(t - spike_s) < 0.01 else 600.0, start=0.05, end=13.0, rate=10.0
    )
    found = counter_energy(counter, 1.0, 11.0, update_period_s=0.2, power=beside)
    drawn = PowerRange(600.0, 1000.0 if counts else 600.0)
    assert found.edge_uncertainty_joules == pytest.approx(update_uncertainty(drawn, 0.2))


@pytest.mark.parametrize(("update_s", "counts"), [(0.45, True), (0.5, False), (0.55, False)])
def test_a_counter_is_rough_where_it_updates_twice_between_two_readings(update_s, counts):
    """Read each second; every other reading lies 30 J above the line of its neighbours."""
    counter = samples(lambda t: 600.0 * t + 30.0 * (t % 2), start=0.0, end=14.0, rate=1.0)
    limits = {"update_period_s": update_s, "possible": PowerRange(600.0, 600.0)}
    found = counter_energy(counter, 1.5, 11.5, **limits)
    lag_joules = update_uncertainty(PowerRange(590.0, 610.0), update_s)  # power over 3 s
    expected = math.hypot(lag_joules, 30.0, 30.0) if counts else lag_joules
    assert found.edge_uncertainty_joules == pytest.approx(expected)


def test_readings_half_a_second_apart_are_no_gap():
    counter = samples(lambda t: 600.0 * t, start=0.0, end=14.0, rate=2.0)
    limits = {"update_period_s": 0.1, "possible": PowerRange(100.0, 700.0)}
    found = counter_energy(counter, 1.25, 11.25, **limits)
    assert found.edge_uncertainty_joules == pytest.approx(0.1 * 600.0 / math.sqrt(6.0))


def test_a_straight_counter_is_not_rough():
    assert roughness(samples(lambda t: 600.0 * t, start=0.0, end=3.0, rate=10.0)) < 1e-9
    assert roughness(Samples((0.0, 1.0), (0.0, 1.0))) == 0.0
    assert roughness(Samples((0.0, 1.0, 3.0), (0.0, 5.0, 9.0))) == pytest.approx(2.0)


def test_energy_leaves_a_line_most_where_all_of_the_highest_power_comes_first():
    drawn = PowerRange(100.0, 600.0)
    assert drawn.line_limit_joules(0.1, 350.0) == pytest.approx(12.5)
    assert drawn.line_limit_joules(0.1, 600.0) == drawn.line_limit_joules(0.1, 900.0) == 0.0
    assert PowerRange(100.0, 100.0).line_limit_joules(0.1, 100.0) == 0.0
    assert ANY_POWER.line_limit_joules(0.1, 350.0) == pytest.approx(35.0)
    assert PowerRange(100.0, math.inf).line_limit_joules(0.1, 350.0) == pytest.approx(25.0)


def test_a_guess_is_wrong_by_no_more_than_the_farther_end_of_the_range():
    drawn = PowerRange(100.0, 700.0)
    assert drawn.guess_limit_joules(2.0, 300.0) == 800.0
    assert drawn.guess_limit_joules(2.0, 650.0) == 1100.0
