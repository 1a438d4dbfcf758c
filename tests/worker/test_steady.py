"""A warm-up is steady where the bias of the window that follows is shown to be small."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.worker.made_waves import ON_A_CPU, ON_A_GPU, ahead, approach, judged, waves_over

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
    bias_of,
    bound_ahead,
    judge,
    step_limit,
)


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
    ("fast", "slow"),
    [((0.05, 10.0), (0.05, 200.0)), ((0.05, 10.0), (-0.05, 200.0)), ((0.05, 30.0), (0.05, 120.0))],
)
def test_a_fast_approach_hides_no_slow_one(
    fast: tuple[float, float], slow: tuple[float, float]
) -> None:
    """All waves together give bounds of 1 % after 60 s, and 3.4 % are left."""

    def level(time_s: float) -> float:
        return approach(*fast)(time_s) + approach(*slow)(time_s)

    waves = {"level": level, "noise": 0.01, "wave_s": 1.0}
    for span_s in (60.0, 120.0, 180.0):
        left = abs(sum(level(span_s + t / 10.0) for t in range(300)) / 300.0)
        ended = [ahead(span_s, **waves, seed=seed) for seed in range(20)]
        assert sum(bound is not None and bound <= 0.01 < left for bound in ended) <= 1
        bounds = [judged(span_s, **waves, seed=seed).bound or 0.0 for seed in range(20)]
        assert sum(bound >= left for bound in bounds) >= 18


def test_of_waves_that_moved_the_later_ones_alone_must_be_enough_too() -> None:
    """Half of the window is 5 s: 20 s of warm-up have 10 s in their later half, 9 s have 4.5 s."""
    early = {"level": lambda t: -0.3 * (t < 1.0), "noise": 0.0001, "window_s": 10.0}
    assert ahead(9.0, **early) is None
    moved, level = ahead(20.0, **early), ahead(9.0, noise=0.0001, window_s=10.0)
    assert moved is not None
    assert level is not None
    assert max(moved, level) < 0.01


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
    assert bias_of(Series(waves), (60.0, 90.0), 0.96).limit == pytest.approx(0.03, rel=1e-6)


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


@settings(max_examples=50)
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
