"""A warm-up is steady when its trend is shown to be small, not when it cannot be seen."""

import random

import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.steady import NOT_STEADY, STEADY, TOO_FEW_WAVES, judge, t_quantile
from worker.workload import WarmupRules

RULES = WarmupRules(
    cap_s=180.0, first_wave_deadline_s=900.0, cv_threshold=0.1, bound=0.01, maximum_bound=0.03
)


def noisy(count: int, *, noise: float, drift: float = 0.0, seed: int = 0) -> list[float]:
    """Throughput of `count` waves that drifts by `drift` (relative) in all."""
    draw = random.Random(seed)
    return [100.0 * (1.0 + drift * i / (count - 1) + draw.gauss(0.0, noise)) for i in range(count)]


def test_constant_throughput_is_steady_at_the_least_bound() -> None:
    verdict = judge([100.0] * 6, waves_per_pass=1, rules=RULES)
    assert verdict.verdict == STEADY
    assert verdict.coefficient_of_variation == 0.0
    assert verdict.trend_interval == (0.0, 0.0)
    assert verdict.bound == RULES.bound


def test_the_first_wave_does_not_count() -> None:
    assert judge([1.0, 100.0, 100.0, 100.0], waves_per_pass=1, rules=RULES).steady
    assert judge([1.0, 100.0, 100.0], waves_per_pass=1, rules=RULES).verdict == TOO_FEW_WAVES


def test_a_known_trend_has_its_known_interval() -> None:
    # Slope 1 %, residuals (+, -, -, +) 0.1 %: least squares by hand, 2 degrees of freedom.
    values = [100.0, 98.6, 99.4, 100.4, 101.6]
    verdict = judge(values, waves_per_pass=1, rules=RULES)
    low, high = verdict.trend_interval or (0.0, 0.0)
    assert (low + high) / 2 == pytest.approx(0.03, rel=1e-12)
    error = (4 * 0.001**2 / 2 / 5) ** 0.5 * 3
    assert (high - low) / 2 == pytest.approx(2.919986 * error, rel=1e-6)
    assert verdict.verdict == NOT_STEADY


def test_drift_under_a_small_variation_is_seen() -> None:
    drifting = noisy(40, noise=0.002, drift=0.08)
    verdict = judge(drifting, waves_per_pass=1, rules=RULES)
    assert verdict.coefficient_of_variation is not None
    assert verdict.coefficient_of_variation < 0.03
    assert verdict.verdict == NOT_STEADY


def test_noise_that_hides_a_trend_is_not_steady() -> None:
    verdict = judge(noisy(9, noise=0.08), waves_per_pass=1, rules=RULES)
    assert verdict.bound == RULES.maximum_bound
    assert verdict.verdict == NOT_STEADY


def test_a_large_variation_without_trend_is_not_steady() -> None:
    values = [100.0] + [80.0, 120.0, 120.0, 80.0] * 400
    assert judge(values, waves_per_pass=1, rules=RULES).verdict == NOT_STEADY


def test_only_the_later_half_of_many_waves_counts() -> None:
    settled = noisy(20, noise=0.0, drift=0.5) + [150.0] * 22
    assert judge(settled, waves_per_pass=1, rules=RULES).steady


def test_prompts_of_different_lengths_are_no_variation() -> None:
    one_pass = [100.0, 40.0, 70.0, 55.0]
    verdict = judge(one_pass * 4, waves_per_pass=4, rules=RULES)
    assert verdict.verdict == STEADY
    assert verdict.coefficient_of_variation == pytest.approx(0.0, abs=1e-12)
    assert judge(one_pass * 4, waves_per_pass=1, rules=RULES).verdict == NOT_STEADY


def test_drift_is_seen_through_prompts_of_different_lengths() -> None:
    waves = [level * (1.0 + 0.01 * i) for i, level in enumerate([100.0, 40.0, 70.0, 55.0] * 4)]
    assert judge(waves, waves_per_pass=4, rules=RULES).verdict == NOT_STEADY


def test_more_than_one_pass_is_needed() -> None:
    assert judge([9.0] * 6, waves_per_pass=4, rules=RULES).verdict == TOO_FEW_WAVES
    assert judge([9.0] * 7, waves_per_pass=4, rules=RULES).steady


@pytest.mark.parametrize("noise", [0.002, 0.004])
def test_a_trendless_warm_up_passes_nine_times_in_ten(noise: float) -> None:
    passed = [
        judge(noisy(33, noise=noise, seed=seed), waves_per_pass=1, rules=RULES).steady
        for seed in range(400)
    ]
    assert sum(passed) / len(passed) == pytest.approx(0.9, abs=0.1)
    assert sum(passed) / len(passed) >= 0.86


def test_a_drift_at_the_widest_bound_rarely_passes() -> None:
    # 3 % over the 16 waves that are tested: at most 1 in 20, since the 90 % interval must fit.
    passed = [
        judge(noisy(33, noise=0.004, drift=0.064, seed=seed), waves_per_pass=1, rules=RULES).steady
        for seed in range(400)
    ]
    assert sum(passed) / len(passed) <= 0.07


@settings(max_examples=50)
@given(
    st.lists(st.floats(1.0, 1e6), min_size=1, max_size=40),
    st.integers(1, 5),
    st.floats(0.01, 100.0),
)
def test_units_do_not_matter(values: list[float], waves_per_pass: int, unit: float) -> None:
    one = judge(values, waves_per_pass=waves_per_pass, rules=RULES)
    other = judge([v * unit for v in values], waves_per_pass=waves_per_pass, rules=RULES)
    assert other.verdict == one.verdict or one.bound == pytest.approx(other.bound)
    assert other.coefficient_of_variation == pytest.approx(one.coefficient_of_variation, abs=1e-9)


@given(st.integers(1, 10_000), st.sampled_from([0.9, 0.95, 0.975, 0.99]))
def test_quantiles_of_students_t_agree_with_scipy(degrees: int, probability: float) -> None:
    expected = scipy.stats.t.ppf(probability, degrees)
    accuracy = 1e-9 if degrees <= 2 else 2e-3 if degrees < 5 else 1e-5
    assert t_quantile(probability, degrees) == pytest.approx(expected, rel=accuracy)


def test_quantiles_of_students_t_are_those_of_tables() -> None:
    assert t_quantile(0.95, 1) == pytest.approx(6.313752)
    assert t_quantile(0.95, 5) == pytest.approx(2.015048, rel=1e-5)
    assert t_quantile(0.975, 10) == pytest.approx(2.228139, rel=1e-6)


@pytest.mark.parametrize(("probability", "degrees"), [(0.5, 3), (1.0, 3), (0.95, 0)])
def test_a_quantile_out_of_range_is_refused(probability: float, degrees: int) -> None:
    with pytest.raises(ValueError, match="out of range"):
        t_quantile(probability, degrees)
