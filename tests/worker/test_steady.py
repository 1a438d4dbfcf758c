"""A warm-up is steady where the bias of the window that follows is shown to be small."""

import math
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.courses import Series, Wave
from worker.steady import (
    DRIFT_SEEN,
    LEAST_BOUND,
    NO_DRIFT_SEEN,
    NOT_STEADY,
    SEEN_LIMIT,
    SLOWEST_S,
    STEADY,
    TOO_FEW_WAVES,
    UNDECIDED,
    Verdict,
    bias_limit,
    bound_ahead,
    judge,
    step_limit,
)
from worker.workload import WarmupRules

ON_A_GPU = WarmupRules(cap_s=180.0, first_wave_deadline_s=900.0, bound=0.01)
ON_A_CPU = WarmupRules(cap_s=5.0, first_wave_deadline_s=900.0, bound=0.01)


def approach(share: float, tau_s: float) -> Callable[[float], float]:
    return lambda time_s: -share * math.exp(-time_s / tau_s)


def waves_over(
    span_s: float,
    *,
    level: Callable[[float], float] = lambda _: 0.0,
    noise: float = 0.0,
    wave_s: float = 0.5,
    seed: int = 0,
) -> list[Wave]:
    """Return waves over `span_s` whose level is relative to the steady one."""
    draw = random.Random(seed)
    starts = [i * wave_s for i in range(round(span_s / wave_s))]
    rates = [1.0 + level(start + wave_s / 2.0) + draw.gauss(0.0, noise) for start in starts]
    return [Wave(t, t + wave_s, r * wave_s) for t, r in zip(starts, rates, strict=True)]


def ahead(
    span_s: float, *, window_s: float = 30.0, rules: WarmupRules = ON_A_GPU, **changes: Any
) -> float | None:
    return bound_ahead(waves_over(span_s, **changes), window_s=window_s, rules=rules)


def judged(
    span_s: float = 180.0, *, window_s: float = 30.0, cap_s: float = 180.0, **changes: Any
) -> Verdict:
    """Judge a window after a warm-up of `span_s`."""
    waves = waves_over(span_s + window_s, **changes)
    return judge(waves, window=(span_s, span_s + window_s), cap_s=cap_s)


def test_constant_throughput_is_steady_at_the_least_bound() -> None:
    assert ahead(30.0) == pytest.approx(0.0, abs=1e-12)
    verdict = judged(30.0)
    assert verdict.verdict == STEADY
    assert verdict.bound == LEAST_BOUND
    assert verdict.time_constant_s == SLOWEST_S
    assert verdict.coefficient_of_variation == pytest.approx(0.0, abs=1e-12)
    assert verdict.trend_interval == pytest.approx((0.0, 0.0), abs=1e-12)


def test_a_span_shorter_than_half_of_the_window_ends_no_warm_up() -> None:
    assert ahead(14.5, window_s=30.0) is None
    assert ahead(15.0, window_s=30.0) is not None
    assert ahead(15.0, window_s=31.0) is None


def test_more_than_one_pass_is_needed_to_end_a_warm_up() -> None:
    waves = [Wave(float(i), i + 1.0, 9.0, i % 9) for i in range(11)]
    assert bound_ahead(waves[:10], window_s=5.0, rules=ON_A_GPU) is None
    assert bound_ahead(waves, window_s=5.0, rules=ON_A_GPU) is not None


def test_a_slow_approach_goes_on_while_the_window_would_be_biased() -> None:
    """The case that the trend over a few waves passed after 2.2 s, with a bias of 7.4 %."""
    slow = approach(0.1, 30.0)
    for span_s, window_s in ((4.0, 3.0), (30.0, 15.0)):
        bound = ahead(span_s, level=slow, window_s=window_s)
        assert bound is not None
        assert bound > 0.02
    late = ahead(150.0, level=slow, window_s=15.0)
    assert late is not None
    assert late < 0.01


@pytest.mark.parametrize(
    ("share", "tau_s"), [(0.02, 30.0), (0.05, 60.0), (0.1, 120.0), (0.02, 300.0), (0.1, 300.0)]
)
def test_the_bound_holds_the_bias_of_an_approach(share: float, tau_s: float) -> None:
    """At most 4 % of the bounds are too small; the sample leaves 4 % more."""
    level = approach(share, tau_s)
    left = sum(abs(level(t / 10.0)) for t in range(1800, 2100)) / 300.0
    held = 0
    for seed in range(100):
        bound = judged(level=level, noise=0.01, wave_s=1.0, seed=seed).bound
        assert bound is not None
        held += bound >= left
    assert held >= 92


@pytest.mark.parametrize("noise", [0.0, 0.005, 0.01])
def test_an_endless_drift_is_not_steady(noise: float) -> None:
    """0.2 % in each wave of 0.5 s."""
    for span_s in (20.0, 60.0, 180.0):
        drift = {"level": lambda t: 0.004 * t, "noise": noise}
        bound = ahead(span_s, **drift)
        assert bound is not None
        assert bound > 0.05
        assert judged(span_s, **drift).verdict == NOT_STEADY


def test_a_drift_that_is_seen_allows_a_smaller_bound_than_noise() -> None:
    seen = judged(level=approach(0.1, 300.0), noise=0.005, wave_s=1.0)
    hidden = judged(noise=0.1, wave_s=1.0, seed=1)
    assert seen.bound is not None
    assert hidden.bound is not None
    assert SEEN_LIMIT < seen.bound < hidden.bound < 0.1
    assert (seen.verdict, hidden.verdict) == (NOT_STEADY, STEADY)


@pytest.mark.parametrize(("noise", "bound"), [(0.014, 0.01), (0.035, 0.021), (0.07, 0.042)])
def test_stationary_noise_is_steady_with_a_bound_that_follows_it(
    noise: float, bound: float
) -> None:
    """Noise of waves of 1 s: 95 % are declared, and the median is the bound; samples leave some."""
    verdicts = [judged(noise=noise, wave_s=1.0, seed=seed) for seed in range(100)]
    assert sum(v.verdict == STEADY for v in verdicts) >= 92
    assert sorted(v.bound or 1.0 for v in verdicts)[50] == pytest.approx(bound, rel=0.15)


@pytest.mark.parametrize("cap_s", [180.0, 5.0])
def test_a_step_inside_the_window_is_seen(cap_s: float) -> None:
    """Either level may be the steady one: 4 % in the last third is 2.7 % from the later one."""
    late = judged(30.0, level=lambda t: 0.04 * (t > 50.0), noise=0.005, cap_s=cap_s)
    assert late.bound is not None
    assert late.bound > 0.026
    assert cap_s > 60.0 or late.verdict == DRIFT_SEEN


def test_the_bias_by_a_step_is_its_larger_side() -> None:
    """4 % for 20 of 30 s: the window's mean lies 2.7 % from the level after it."""
    waves = waves_over(60.0, level=lambda t: 0.04 * (t > 50.0), noise=0.002)
    limit = step_limit(Series(waves), (30.0, 60.0))
    assert limit is not None
    assert 0.027 < limit < 0.04
    assert step_limit(Series(waves_over(60.0, noise=0.02)), (30.0, 60.0)) is None


def test_a_step_enters_the_bound() -> None:
    """Trend and approaches alone give 3.2 %."""
    step = judged(level=lambda t: 0.05 * (t > 200.0), noise=0.02, wave_s=1.0, seed=1)
    assert step.bound is not None
    assert step.bound > 0.045


def test_a_dip_that_moves_neither_mean_nor_trend_is_a_drift_that_was_seen() -> None:
    dip = {"level": lambda t: 0.0333 * (t >= 42.0) - 0.05 * (30.0 < t < 42.0), "noise": 0.02}
    short = {"wave_s": 1.0, "cap_s": 5.0, "seed": 2}
    assert judged(30.0, **dip, **short).verdict == DRIFT_SEEN
    assert judged(30.0, noise=0.02, **short).verdict == NO_DRIFT_SEEN


def test_a_trend_is_carried_on_over_the_whole_window() -> None:
    """0.1 % of the first level in each second, for 30 s."""
    waves = waves_over(60.0, level=lambda t: 0.001 * t)
    assert bias_limit(Series(waves), (60.0, 90.0), 0.96) == pytest.approx(0.03, rel=1e-6)


def test_a_short_warm_up_compares_the_middles_of_warm_up_and_window() -> None:
    """0.1 % in each second, and 4 s between the middles of 5 s and of the 3 s that follow."""
    bound = ahead(5.0, level=lambda t: 0.001 * (t - 2.5), window_s=3.0, rules=ON_A_CPU)
    assert bound == pytest.approx(0.004, rel=1e-6)


def test_a_bound_before_the_window_holds_too() -> None:
    """At most 1 % of the bounds are too small; the sample leaves 3 % more."""
    level = approach(0.02, 300.0)
    left = sum(abs(level(t / 10.0)) for t in range(1200, 1500)) / 300.0
    bounds = [
        ahead(120.0, level=level, noise=0.01, wave_s=1.0, seed=seed) or 0.0 for seed in range(100)
    ]
    assert sum(bound >= left for bound in bounds) >= 96


def test_a_step_long_before_the_window_is_no_bias() -> None:
    verdict = judged(level=lambda t: 0.04 * (t > 20.0), noise=0.005)
    assert (verdict.verdict, verdict.bound) == (STEADY, LEAST_BOUND)


def test_noise_that_hides_everything_is_not_steady() -> None:
    assert judged(20.0, noise=0.2).verdict == NOT_STEADY
    assert judged(5.0, window_s=3.0, noise=0.2, cap_s=5.0).verdict == UNDECIDED


def test_a_short_cap_shows_no_more_than_that_no_drift_was_seen() -> None:
    """An approach of 10 % with 120 s leaves 9.5 % after 5 s, and nothing shows it."""
    short = {"window_s": 3.0, "cap_s": 5.0, "noise": 0.004}
    slow = judged(5.0, level=approach(0.1, 120.0), **short)
    assert slow.verdict == NO_DRIFT_SEEN
    assert slow.time_constant_s is None
    assert judged(5.0, level=approach(0.1, 5.0), **short).verdict == DRIFT_SEEN


def test_the_bound_of_a_short_cap_holds_the_difference_of_the_means() -> None:
    level = approach(0.03, 5.0)
    warmup = sum(level(t / 100.0) for t in range(500)) / 500.0
    window = sum(level(t / 100.0) for t in range(500, 800)) / 300.0
    bounds = [
        judged(5.0, window_s=3.0, cap_s=5.0, level=level, noise=0.01, seed=seed).bound or 0.0
        for seed in range(100)
    ]
    assert sum(bound >= window - warmup for bound in bounds) >= 92


def test_waves_of_the_window_alone_are_too_few() -> None:
    waves = waves_over(30.0)
    assert judge(waves, window=(0.0, 30.0), cap_s=180.0).verdict == TOO_FEW_WAVES
    assert judge(waves[:2], window=(0.5, 1.0), cap_s=180.0).verdict == TOO_FEW_WAVES


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(1.0, 1e6), min_size=2, max_size=40),
    st.integers(1, 5),
    st.floats(0.01, 100.0),
    st.sampled_from([5.0, 180.0]),
)
def test_units_do_not_matter(
    rates: list[float], waves_per_pass: int, unit: float, cap_s: float
) -> None:
    one, other = (
        judge(
            [
                Wave(float(i), i + 1.0, rate * factor, i % waves_per_pass)
                for i, rate in enumerate(rates)
            ],
            window=(1.0, float(len(rates))),
            cap_s=cap_s,
        )
        for factor in (1.0, unit)
    )
    assert (one.bound is None) == (other.bound is None)
    assert one.bound is None or math.isfinite(one.bound)
    assert other.coefficient_of_variation == pytest.approx(one.coefficient_of_variation, abs=1e-9)


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
    assert least < bias_limit(Series(waves), (60.0, 90.0), 0.96) < most


def test_a_step_at_the_opening_of_a_window_of_two_waves_is_seen_with_two_before_it() -> None:
    """A trend over 182 waves does not show that the last two are 3 % faster."""
    rates = [1.0 + 0.0005 * (-1) ** i + 0.03 * (i >= 180) for i in range(182)]
    waves = [Wave(float(i), i + 1.0, rate) for i, rate in enumerate(rates)]
    found = judge(waves, window=(180.0, 182.0), cap_s=180.0)
    assert found.bound is not None
    assert 0.03 < found.bound < 0.035
