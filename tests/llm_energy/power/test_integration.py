"""Energy as an integral: known answers, laws, and when it is refused."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.llm_energy.power.made_power import constant, samples

from llm_energy.power.integration import Amount, edge_uncertainty, gap_limit_s, integrate
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


def without(power, start_s, end_s):
    kept = [
        (t, v) for t, v in zip(power.times_s, power.values, strict=True) if not start_s < t < end_s
    ]
    return Samples(tuple(t for t, _ in kept), tuple(v for _, v in kept))


def wave(t):
    return 500.0 + 50.0 * math.sin(t)


def test_a_gap_that_may_hide_more_than_the_limit_is_refused_with_its_bound():
    power = without(samples(wave, start=0.0, end=21.0, rate=10.0), 8.0, 10.0)
    amount = integrate(power, 0.5, 20.5, update_period_s=None)
    assert amount.joules is None
    assert amount.reason == "sampling_gap"
    assert amount.gap_bound == pytest.approx(2.0 * 100.0 / (20.0 * 500.0), rel=0.05)


def test_a_gap_in_steady_power_is_bounded_and_kept():
    power = without(
        samples(lambda t: 500.0 + math.sin(t), start=0.0, end=21.0, rate=10.0), 8.0, 10.0
    )
    amount = integrate(power, 0.5, 20.5, update_period_s=None)
    assert amount.joules is not None
    assert 0.0 < amount.gap_bound < 0.001


def test_two_lost_samples_are_no_gap():
    power = without(samples(wave, start=0.0, end=21.0, rate=10.0), 8.01, 8.29)
    assert integrate(power, 0.5, 20.5, update_period_s=None).gap_bound == 0.0


def test_a_gap_is_measured_by_the_slower_of_sampling_and_sensor():
    assert gap_limit_s(0.1, None) == 0.5
    assert gap_limit_s(0.1, 0.4) == pytest.approx(1.2)
    assert gap_limit_s(1.0, 0.1) == 3.0


def test_steady_edges_have_no_uncertainty_and_a_step_has():
    steady = samples(constant(100.0), start=0.0, end=3.0, rate=10.0)
    step = samples(lambda t: 100.0 if t < 1.0 else 600.0, start=0.0, end=3.0, rate=10.0)
    assert edge_uncertainty(steady, 1.0, 0.1) == 0.0
    assert edge_uncertainty(step, 1.0, 0.1) == pytest.approx(0.1 * 500.0 / math.sqrt(12.0))
