"""Energy as an integral: known answers, laws, and when it is refused."""

import math
import random
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.llm_energy.power.made_power import constant, samples

from llm_energy.power.integration import (
    Amount,
    edge_uncertainty,
    gap_limit_s,
    integrate,
    sampling_uncertainty,
)
from llm_energy.power.power_range import PowerRange
from llm_energy.power.series import Samples


def joules(power, start_s, end_s):
    amount = integrate(power, start_s, end_s, update_period_s=None)
    assert amount.reason is None
    return amount.joules


def test_a_ramp_between_the_samples_is_exact():
    ramp = samples(lambda t: 100 + 10 * t, start=-0.05, end=11.0, rate=10.0)
    assert joules(ramp, 0.33, 10.78) == pytest.approx(1625.4975, abs=1e-9)


@given(
    watts=st.lists(st.floats(1.0, 1000.0), min_size=12, max_size=60),
    cuts=st.lists(st.floats(0.0, 1.0), min_size=3, max_size=3),
)
def test_the_whole_is_the_sum_of_its_parts(watts, cuts):
    power = Samples(tuple(0.1 * i for i in range(len(watts))), tuple(watts))
    a, b, c = sorted(cut * power.times_s[-1] for cut in cuts)
    if b - a < 1e-6 or c - b < 1e-6:
        return
    whole = joules(power, a, c)
    assert joules(power, a, b) + joules(power, b, c) == pytest.approx(whole, rel=1e-9)


@given(
    watts=st.lists(st.floats(1.0, 1000.0), min_size=3, max_size=60),
    factor=st.floats(0.1, 10.0),
    shift=st.floats(-1000.0, 1000.0),
)
def test_energy_scales_with_power_and_does_not_depend_on_the_clock(watts, factor, shift):
    times = tuple(0.1 * i for i in range(len(watts)))
    power = Samples(times, tuple(watts))
    scaled = Samples(tuple(t + shift for t in times), tuple(factor * w for w in watts))
    expected = factor * joules(power, 0.05, times[-1])
    assert joules(scaled, 0.05 + shift, times[-1] + shift) == pytest.approx(expected, rel=1e-6)


@given(watts=st.lists(st.floats(1.0, 1000.0), min_size=3, max_size=60))
def test_the_mean_lies_within_what_was_seen(watts):
    power = Samples(tuple(0.1 * i for i in range(len(watts))), tuple(watts))
    mean = joules(power, 0.0, power.times_s[-1]) / power.times_s[-1]
    assert min(watts) * (1 - 1e-9) <= mean <= max(watts) * (1 + 1e-9)


def test_idle_samples_outside_of_the_window_do_not_leak_in():
    power = samples(lambda t: 600.0 if 0.9 < t < 12.1 else 100.0, start=0.0, end=14.0, rate=10.0)
    assert joules(power, 1.03, 11.03) == pytest.approx(6000.0, abs=1e-9)


@pytest.mark.parametrize(
    ("span", "reason"),
    [((-1.0, 2.0), "no_sample_before"), ((1.0, 4.0), "no_sample_after")],
)
def test_power_outside_of_the_samples_is_never_guessed(span, reason):
    power = samples(constant(100.0), start=0.0, end=3.0, rate=10.0)
    assert integrate(power, *span, update_period_s=None) == Amount(reason=reason)


def test_no_sample_at_all():
    assert integrate(Samples((), ()), 0.0, 1.0, update_period_s=None).reason == "no_samples"


def test_a_sensor_that_says_0_w_is_broken_not_free():
    power = samples(constant(0.0), start=0.0, end=3.0, rate=10.0)
    assert integrate(power, 1.0, 2.0, update_period_s=None) == Amount(reason="no_power")


def test_less_than_a_joule_is_an_energy():
    assert joules(samples(constant(0.5), start=0.0, end=3.0, rate=10.0), 1.0, 2.0) == 0.5


def without(power, start_s, end_s):
    kept = [
        (t, v) for t, v in zip(power.times_s, power.values, strict=True) if not start_s < t < end_s
    ]
    return Samples(tuple(t for t, _ in kept), tuple(v for _, v in kept))


def wave(t):
    return 500.0 + 50.0 * math.sin(t)


DRAWN = PowerRange(100.0, 700.0)
"""An idle power of 100 W and an enforced limit of 700 W."""


def test_a_gap_is_bounded_by_idle_power_and_limit_however_steady_its_ends_are():
    """Four of ten seconds are missing: an idle gap would make the energy a third too high."""
    power = without(samples(constant(600.0), start=0.0, end=11.0, rate=10.0), 4.0, 8.0)
    amount = integrate(power, 0.5, 10.5, update_period_s=None, possible=DRAWN)
    assert (amount.joules, amount.reason) == (None, "sampling_gap")
    assert amount.gap_bound == pytest.approx(4.0 * 500.0 / 6000.0, rel=1e-6)


def test_a_gap_counts_as_far_as_it_lies_in_the_interval():
    power = without(samples(constant(600.0), start=0.0, end=41.0, rate=10.0), 4.0, 8.0)
    amount = integrate(power, 7.5, 37.5, update_period_s=None, possible=DRAWN)
    assert amount.joules == pytest.approx(18_000.0)
    assert amount.gap_bound == pytest.approx(0.5 * 500.0 / 18_000.0, rel=1e-6)
    assert amount.gap_uncertainty_joules == pytest.approx(0.5 * 500.0 / math.sqrt(3.0))


def test_a_gap_at_the_end_counts_as_far_as_it_lies_in_the_interval():
    power = without(samples(constant(600.0), start=0.0, end=41.0, rate=10.0), 34.0, 38.0)
    amount = integrate(power, 5.0, 35.0, update_period_s=None, possible=DRAWN)
    assert amount.gap_bound == pytest.approx(1.0 * 500.0 / 18_000.0, rel=1e-6)
    slow = integrate(power, 5.0, 35.0, update_period_s=1.4, possible=DRAWN)
    assert slow.gap_bound == amount.gap_bound


def test_where_nothing_bounds_power_a_gap_is_refused():
    power = without(samples(constant(600.0), start=0.0, end=41.0, rate=10.0), 4.0, 8.0)
    assert integrate(power, 0.5, 37.5, update_period_s=None).reason == "sampling_gap"


def test_two_lost_samples_are_no_gap():
    power = without(samples(wave, start=0.0, end=21.0, rate=10.0), 8.01, 8.29)
    assert integrate(power, 0.5, 20.5, update_period_s=None).gap_bound == 0.0


def test_a_pause_of_exactly_three_periods_is_no_gap():
    times = (0.0, 1.0, 2.0, 5.0, 6.0, 7.0)
    power = Samples(times, (100.0, 100.0, 100.0, 120.0, 100.0, 100.0))
    found = integrate(power, 0.0, 7.0, update_period_s=None, possible=DRAWN)
    assert found.gap_bound == 0.0
    roughness = math.sqrt(((3.0 * 20.0) ** 2 + (1.0 * 20.0) ** 2) / 2)
    assert found.sampling_uncertainty_joules == pytest.approx(roughness)


def test_edges_samples_and_gaps_are_unknown_independently_of_each_other():
    gap = 0.001 * math.sqrt(3.0)
    assert Amount(6000.0, None, 2.0, 3.0, gap).uncertainty_joules == pytest.approx(7.0)
    assert Amount(None, "sampling_gap", gap_bound=0.2).gap_uncertainty_joules == 0.0


def test_a_gap_is_measured_by_the_sampling():
    assert gap_limit_s(0.1) == 0.5
    assert gap_limit_s(1.0) == 3.0


def test_power_that_hardly_changes_hides_no_gap():
    power = without(samples(constant(600.0), start=0.0, end=11.0, rate=10.0), 4.0, 7.0)
    amount = integrate(power, 0.5, 10.5, update_period_s=6.0, possible=DRAWN)
    assert (amount.joules, amount.reason) == (None, "sampling_gap")


def test_steady_edges_have_no_uncertainty_and_a_step_has():
    steady = samples(constant(100.0), start=0.0, end=3.0, rate=10.0)
    step = samples(lambda t: 100.0 if t < 1.0 else 600.0, start=0.0, end=3.0, rate=10.0)
    assert edge_uncertainty(steady, 1.0, 0.1) == 0.0
    assert edge_uncertainty(step, 1.0, 0.1) == pytest.approx(0.1 * 500.0 / math.sqrt(12.0))


def test_a_longer_way_between_samples_and_a_slow_reading_widen_an_edge():
    step = samples(lambda t: 100.0 if t < 1.0 else 600.0, start=0.0, end=3.0, rate=10.0)
    apart = without(step, 0.85, 1.15)
    assert edge_uncertainty(apart, 1.0, 0.1) == pytest.approx(0.4 * 500.0 / math.sqrt(12.0))
    slow = Samples(step.times_s, step.values, (0.05,) * len(step))
    expected = 500.0 * math.hypot(0.1 / math.sqrt(12.0), 0.025 / math.sqrt(3.0))
    assert edge_uncertainty(slow, 1.0, 0.1) == pytest.approx(expected)


@pytest.mark.parametrize("update_s", [None, 0.05, 0.4])
def test_both_edges_count_with_the_slower_of_sampling_and_sensor(update_s):
    power = samples(lambda t: 600.0 if 2.0 < t < 7.05 else 100.0, start=0.05, end=12.0, rate=10.0)
    found = integrate(power, 2.0, 7.0, update_period_s=update_s)
    lag_s = max(0.1, update_s or 0.0)
    each = lag_s * 500.0 / math.sqrt(12.0)
    assert found.edge_uncertainty_joules == pytest.approx(each * math.sqrt(2.0))
    assert found.sampling_uncertainty_joules == pytest.approx(
        math.sqrt(2 * (lag_s * 500.0) ** 2 / 2)
    )
    assert integrate(power, 2.0, 5.0, update_period_s=update_s).edge_uncertainty_joules == (
        pytest.approx(each)
    )


class TestSampling:
    def test_constant_power_is_sampled_exactly(self):
        power = samples(constant(600.0), start=0.0, end=30.0, rate=1.0)
        assert integrate(power, 0.5, 29.5, update_period_s=None).sampling_uncertainty_joules == 0.0

    def test_independent_samples_give_the_standard_error_of_their_mean(self):
        """600 W ± 50 W: thirty samples of a second each are uncertain by √30 · 50 J."""
        chance = random.Random(1)
        power = samples(lambda _: chance.gauss(600.0, 50.0), start=0.0, end=3000.0, rate=1.0)
        found = sampling_uncertainty(power, 0.0, 3.0)
        assert found == pytest.approx(math.sqrt(3000.0) * 50.0, rel=0.05)

    def test_a_held_value_counts_until_the_sensor_updates(self):
        power = samples(lambda t: 600.0 + 50.0 * (int(t) % 2), start=0.05, end=9.9, rate=10.0)
        once = sampling_uncertainty(power, 0.0, 0.5)
        assert once == pytest.approx(math.sqrt(9 * (0.1 * 50.0) ** 2 / 2))
        assert sampling_uncertainty(power, 1.0, 3.0) == pytest.approx(10 * once)

    def test_gaps_count_on_their_own(self):
        power = Samples((0.0, 0.1, 5.0), (100.0, 100.0, 600.0))
        assert sampling_uncertainty(power, 0.0, 0.5) == 0.0

    def test_half_second_prefills_of_any_time_are_covered_at_1_hz(self):
        """Waves of 3 to 5 s, each with half a second at double power, read once a second."""
        chance, held = random.Random(2026), 0
        for _ in range(200):
            starts = [0.0]
            while starts[-1] < 70.0:
                starts.append(starts[-1] + chance.uniform(3.0, 5.0))
            power = samples(partial(prefilled, starts), start=0.0, end=60.0, rate=1.0)
            start = chance.uniform(1.0, 29.0)
            amount = integrate(power, start, start + 30.0, update_period_s=None)
            busy = sum(max(0.0, min(s + 0.5, start + 30.0) - max(s, start)) for s in starts)
            u = math.hypot(amount.edge_uncertainty_joules, amount.sampling_uncertainty_joules)
            held += abs(amount.joules - 30.0 * 300.0 - 300.0 * busy) <= 2 * u
        assert held >= 180


def prefilled(starts, t):
    return 600.0 if any(s <= t < s + 0.5 for s in starts) else 300.0
