"""Bounds and verdicts of waves without noise, whose bias is known exactly."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.worker.made_waves import ON_A_GPU, approach, judged, waves_over

from worker.courses import Series, Wave
from worker.steady import (
    DRIFT_SEEN,
    NOT_STEADY,
    SLOWEST_S,
    STEADY,
    TOO_FEW_WAVES,
    bias_of,
    bound_ahead,
    judge,
    step_limit,
)


def from_second_100(count: int, rate: Callable[[float], float]) -> list[Wave]:
    """Return waves of half a second without noise; `rate` is that of their middles, from 0 on."""
    starts = [0.5 * i for i in range(count)]
    return [Wave(100.0 + t, 100.5 + t, 0.5 * rate(t + 0.25)) for t in starts]


def test_a_trend_without_noise_is_carried_on_over_the_window() -> None:
    rising = from_second_100(40, lambda t: 1.0 + 0.002 * t)
    short = bound_ahead(rising, window_s=30.0, rules=replace(ON_A_GPU, cap_s=59.0))
    assert short == pytest.approx(0.002 / 1.02 * (20.0 + 30.0) / 2.0)
    for cap_s in (60.0, 180.0):
        bound = bound_ahead(rising, window_s=30.0, rules=replace(ON_A_GPU, cap_s=cap_s))
        assert bound == pytest.approx(0.002 * 30.0)
    assert bound_ahead(rising, window_s=40.1, rules=ON_A_GPU) is None


@pytest.mark.parametrize("tau_s", [SLOWEST_S, SLOWEST_S / 1.5**3])
def test_of_an_approach_without_noise_the_part_that_is_left_in_the_window_counts(
    tau_s: float,
) -> None:
    slow = from_second_100(120, lambda t: 1.0 - 0.1 * math.exp(-t / tau_s))
    left = 0.1 * tau_s * (math.exp(-60.0 / tau_s) - math.exp(-90.0 / tau_s)) / 30.0
    assert bound_ahead(slow, window_s=30.0, rules=ON_A_GPU) == pytest.approx(left, rel=1e-3)


def test_three_waves_and_a_window_that_opens_after_the_first_are_enough() -> None:
    waves = [Wave(float(i), i + 1.0, 9.0) for i in range(3)]
    assert judge(waves, window=(1.0, 3.0), cap_s=180.0).verdict == STEADY
    assert judge(waves[:2], window=(1.0, 2.0), cap_s=180.0).verdict == TOO_FEW_WAVES


@pytest.mark.parametrize(
    ("before", "opened_s", "limit"),
    [
        (4, 3.0, 7 / 10 * 0.8),  # two tenths of the window before it, eight after it
        (2, 2.0, 7 / 12),
        (5, 3.0, 7 / 9 * 0.6),
        (6, 3.0, None),
    ],
)
def test_of_a_step_without_noise_the_longer_side_counts(
    before: int, opened_s: float, limit: float | None
) -> None:
    """Seven waves, of which the last are twice as fast; two must lie on either side."""
    waves = [Wave(float(i), i + 1.0, 1.0 + (i >= before)) for i in range(7)]
    found = step_limit(Series(waves), (opened_s, 7.0))
    assert found == (None if limit is None else pytest.approx(limit))


@pytest.mark.parametrize(("change", "verdict"), [(0.04, STEADY), (0.1, NOT_STEADY)])
def test_a_step_late_after_a_long_warm_up_counts_in_bound_and_verdict(
    change: float, verdict: str
) -> None:
    """No trend over 210 s shows it: 20 of the window's 30 s lie on one side of it."""
    found = judged(level=lambda t: change * (t > 200.0), noise=0.001, wave_s=1.0)
    assert found.bound is not None
    assert change * 2 / 3 < found.bound < 1.15 * change * 2 / 3
    assert found.verdict == verdict


def test_a_window_of_one_wave_has_no_room_for_a_step() -> None:
    waves = [Wave(float(i), i + 1.0, 9.0) for i in range(10)]
    assert judge(waves, window=(9.0, 10.0), cap_s=180.0).verdict == STEADY


def test_the_trend_interval_is_slope_times_span_at_90_percent() -> None:
    """The case by hand of test_courses.py: 1 % a wave, residuals of 0.1 %."""
    waves = [Wave(i, i + 1.0, rate) for i, rate in enumerate([98.6, 99.4, 100.4, 101.6])]
    half_width = 2.919986 * (4 * 0.001**2 / 2 / 5) ** 0.5 * 4.0  # t(2)
    found = judge(waves, window=(1.0, 4.0), cap_s=180.0).trend_interval
    assert found == pytest.approx((0.04 - half_width, 0.04 + half_width))


def test_after_a_short_warm_up_the_bound_is_the_change_at_the_windows_opening() -> None:
    waves = waves_over(8.0, level=lambda t: 0.03 * (t > 5.0))
    found = judge(waves, window=(5.0, 8.0), cap_s=59.0)
    assert found.bound is not None
    assert 0.0296 < found.bound < 0.033
    assert (found.verdict, found.time_constant_s) == (DRIFT_SEEN, None)
    assert judge(waves, window=(5.0, 8.0), cap_s=60.0).time_constant_s == SLOWEST_S
    assert judge(waves, window=(8.0, 9.0), cap_s=60.0).verdict == TOO_FEW_WAVES


def test_a_change_at_the_windows_opening_counts_where_no_trend_shows_it() -> None:
    """Its only wave is 3 % faster than ten before it, which scatter by 0.1 %."""
    rates = [1.0 + 0.001 * (-1) ** i for i in range(10)] + [1.03]
    waves = [Wave(float(i), i + 1.0, rate) for i, rate in enumerate(rates)]
    series = Series(waves)
    assert not series.trend().visible(series.quantile(0.995))
    assert judge(waves, window=(10.0, 11.0), cap_s=5.0).verdict == DRIFT_SEEN


@pytest.mark.parametrize(("ratio", "seen"), [(6.5, False), (7.5, True)])
def test_a_step_at_the_only_moment_tried_needs_one_quantile(ratio: float, seen: bool) -> None:
    """t = ratio * sqrt(2), against 9.92: Student's t at 0.995 with 2 degrees of freedom."""
    changes = [0.001 * change for change in (-ratio - 1, -ratio + 1, ratio - 1, ratio + 1)]
    waves = [Wave(float(i), i + 1.0, 1.0 + change) for i, change in enumerate(changes)]
    assert (step_limit(Series(waves), (2.0, 4.0)) is not None) == seen


@pytest.mark.parametrize(("noise", "least", "most"), [(0.01, 0.0, 0.0005), (0.012, 0.001, 0.01)])
def test_an_approach_counts_unless_another_explains_the_waves_far_better(
    noise: float, least: float, most: float
) -> None:
    """One of 11.7 s explains them best. One of 17.6 s is 11.8 and 8.3 variances behind it, and
    t(0.9987)² = 9.9 are allowed; it leaves five times as much in the window."""
    waves = waves_over(60.0, level=approach(0.1, 10.0), noise=noise, wave_s=1.0)
    assert least < bias_of(Series(waves), (60.0, 90.0), 0.96).limit < most


def test_a_step_at_the_opening_of_a_window_of_two_waves_is_seen_with_two_before_it() -> None:
    """A trend over 182 waves does not show that the last two are 3 % faster."""
    rates = [1.0 + 0.0005 * (-1) ** i + 0.03 * (i >= 180) for i in range(182)]
    waves = [Wave(float(i), i + 1.0, rate) for i, rate in enumerate(rates)]
    found = judge(waves, window=(180.0, 182.0), cap_s=180.0)
    assert found.bound is not None
    assert 0.03 < found.bound < 0.035
