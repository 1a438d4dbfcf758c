"""Fits to the rates of waves, against cases worked by hand and against scipy."""

import math
import random

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from worker.courses import MOST_VALUES, Series, Wave, t_quantile


def series_of(
    rates: list[float], *, wave_s: float = 1.0, places: int = 1, start_s: float = 0.0
) -> Series:
    return Series(
        [
            Wave(start_s + i * wave_s, start_s + (i + 1) * wave_s, rate * wave_s, i % places)
            for i, rate in enumerate(rates)
        ]
    )


def test_a_known_trend_has_its_known_slope_and_error() -> None:
    # Slope 1 % a wave, residuals (+, -, -, +) 0.1 %: least squares by hand, 2 degrees of freedom.
    series = series_of([98.6, 99.4, 100.4, 101.6])
    assert series.variation == pytest.approx((5.04 / 3) ** 0.5 / 100.0)  # of 3 degrees of freedom
    trend = series.trend()
    assert trend.slope == pytest.approx(0.01, rel=1e-12)
    assert trend.error == pytest.approx((4 * 0.001**2 / 2 / 5) ** 0.5, rel=1e-9)
    assert series.quantile(0.95) == pytest.approx(2.919986, rel=1e-6)
    assert trend.limit(4.0, 2.0) == pytest.approx(4.0 * (0.01 + 2.0 * trend.error))


def test_the_rate_of_a_wave_is_its_amount_over_its_duration() -> None:
    assert Wave(1.0, 5.0, 10.0).rate == 2.5
    slower = [Wave(0.0, 1.0, 10.0), Wave(1.0, 2.0, 10.0), Wave(2.0, 4.0, 10.0)]
    assert Series(slower).variation == pytest.approx((0.2**2 * 2 + 0.4**2) ** 0.5 / 2**0.5)


def test_an_approach_is_found_with_its_size_and_its_end() -> None:
    levels = [100.0 * (1.0 - 0.1 * math.exp(-(i + 0.5) / 20.0)) for i in range(60)]
    fit = series_of(levels).approach(20.0)
    mean = sum(levels) / len(levels)
    assert fit.level_at_zero == pytest.approx(100.0 / mean)
    assert fit.slope == pytest.approx(-10.0 / mean)
    assert fit.residual == pytest.approx(0.0, abs=1e-20)


def test_prompts_of_different_lengths_are_no_variation() -> None:
    one_pass = [100.0, 40.0, 70.0, 55.0]
    assert series_of(one_pass * 4, places=4).variation == pytest.approx(0.0, abs=1e-12)
    assert series_of(one_pass * 4).variation > 0.3
    rising = [level * (1.0 + 0.01 * i) for i, level in enumerate(one_pass * 4)]
    assert series_of(rising, places=4).trend().slope == pytest.approx(0.01, rel=0.1)


def test_many_waves_are_merged_and_give_the_same_trend() -> None:
    count = 5 * MOST_VALUES
    rising = [(100.0 + 60.0 * (i % 2)) * (1.0 + 0.1 * i / count) for i in range(count)]
    merged = series_of(rising, wave_s=0.5, places=2)
    assert merged.count <= MOST_VALUES
    assert merged.span_s * merged.trend().slope == pytest.approx(0.095, rel=0.01)


def test_waves_are_merged_only_where_each_place_came_eight_times() -> None:
    assert series_of([1.0] * 208, places=26).count == 104
    assert series_of([1.0] * 207, places=26).count == 207


@pytest.mark.parametrize("count", [16, MOST_VALUES])
def test_each_place_costs_a_degree_of_freedom(count: int) -> None:
    series = series_of([1.0, 2.0] * (count // 2), places=2)
    assert series.quantile(0.95) == t_quantile(0.95, count - 2 - 1)


def test_two_waves_more_than_places_are_compared_by_place() -> None:
    assert series_of([100.0, 40.0, 100.0, 40.0], places=2).variation == 0.0
    assert series_of([100.0, 40.0, 100.0], places=2).variation > 0.3


def test_the_variation_is_the_standard_deviation_at_a_place_over_the_mean() -> None:
    assert series_of([98.0, 100.0, 102.0]).variation == pytest.approx(0.02)
    assert series_of([98.0, 49.0, 102.0, 51.0], places=2).variation == pytest.approx(
        (4 * 0.02**2 / 2) ** 0.5
    )


def test_times_count_from_the_first_wave() -> None:
    rates = [98.6, 99.4, 100.4, 101.6]
    here, there = series_of(rates), series_of(rates, start_s=1000.0)
    assert (there.start_s, there.span_s) == (1000.0, 4.0)
    assert there.trend() == pytest.approx(here.trend())
    assert there.approach(3.0) == pytest.approx(here.approach(3.0))
    assert there.step(1002.0) == here.step(2.0)
    assert there.count_until(1002.5) == here.count_until(2.5) == 3  # the third one's middle


def test_a_wave_whose_middle_is_the_moment_of_a_step_lies_before_it() -> None:
    assert series_of([1.0, 1.0, 1.0, 2.0, 2.0]).step(2.5).residual == pytest.approx(0.0, abs=1e-20)


def test_a_step_is_found_with_its_size() -> None:
    fit = series_of([99.0] * 6 + [101.0] * 6).step(6.0)
    assert fit.slope == pytest.approx(0.02)
    assert fit.visible(5.0)
    assert series_of([99.0] * 6 + [101.0] * 6).count_until(6.0) == 6


def test_a_step_between_places_alone_is_not_known() -> None:
    waves = [Wave(float(i), i + 1.0, 1.0, place) for i, place in enumerate([0, 0, 0, 1, 1])]
    assert Series(waves).step(3.0) == (0.0, math.inf, 0.0, math.inf, 0.0)
    assert not Series(waves).step(3.0).visible(0.0)


def test_noise_that_depends_on_itself_widens_the_error() -> None:
    draw, last, rates = random.Random(1), 0.0, []
    for _ in range(60):
        last = 0.6 * last + draw.gauss(0.0, 0.01)
        rates.append(100.0 * (1.0 + last))
    dependent = series_of(rates).trend().error
    draw.shuffle(rates)
    assert dependent > 1.4 * series_of(rates).trend().error


@pytest.mark.parametrize("rho", [0.4, 0.7, 0.95])
def test_the_error_is_widened_by_the_lag_1_autocorrelation_freed_of_its_bias(rho: float) -> None:
    draw, last, rates = random.Random(7), 0.0, []
    for _ in range(60):
        last = rho * last + draw.gauss(0.0, 0.01)
        rates.append(100.0 * (1.0 + last))
    times, values = np.arange(60) + 0.5, np.array(rates) / np.mean(rates)
    rest = values - np.polyval(np.polyfit(times, values, 1), times)
    seen = (rest[1:] * rest[:-1]).sum() / (rest**2).sum()
    correlation = min(seen + (1 + 4 * seen) / 60, 0.9)
    assert correlation > 0.31
    variance = (rest**2).sum() / 58 * (1 + correlation) / (1 - correlation)
    expected = math.sqrt(variance / ((times - times.mean()) ** 2).sum())
    assert series_of(rates).trend().error == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("count", "widening"), [(7, 1.0), (8, (1.0 + 0.9) / (1.0 - 0.9))])
def test_eight_waves_are_the_fewest_that_show_autocorrelation(count: int, widening: float) -> None:
    """The first wave, and a rise around it that a step after the first one leaves as it is."""
    rise = [i - (count - 2) / 2.0 for i in range(count - 1)]
    fit = series_of([100.0, *(100.0 + each for each in rise)]).step(1.0)
    variance = sum(each**2 for each in rise) / 100.0**2 / (count - 2) * widening
    assert fit.error == pytest.approx(math.sqrt(variance / (1.0 - 1.0 / count)))


@given(st.integers(1, 10_000), st.sampled_from([0.9, 0.95, 0.975, 0.99]))
def test_quantiles_of_students_t_agree_with_scipy(degrees: int, probability: float) -> None:
    expected = scipy.stats.t.ppf(probability, degrees)
    accuracy = 1e-9 if degrees <= 2 else 2e-3 if degrees < 5 else 1e-5
    assert t_quantile(probability, degrees) == pytest.approx(expected, rel=accuracy)


def test_quantiles_of_students_t_are_those_of_tables() -> None:
    assert t_quantile(0.95, 1) == pytest.approx(6.313752)
    assert t_quantile(0.95, 5) == pytest.approx(2.015048, rel=1e-5)
    assert t_quantile(0.975, 10) == pytest.approx(2.228139, rel=1e-6)


@pytest.mark.parametrize(
    ("probability", "degrees", "expected"),
    [
        (0.95, 3, 2.353379872846729),
        (0.9987, 4, 6.687525107145122),
        (0.6, 4, 0.2707222827133188),
        (0.975, 5, 2.570581685934968),
        (0.99, 8, 2.896459410580298),
        (0.9987, 30, 3.2848260735860126),
        (0.95, 200, 1.652508100910876),
        (0.55, 10, 0.12889018928349996),
    ],
)
def test_every_coefficient_of_algorithm_396_counts(
    probability: float, degrees: int, expected: float
) -> None:
    """Digits beyond the sixth are the algorithm's own, and move with its smallest coefficients."""
    assert t_quantile(probability, degrees) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize(("probability", "degrees"), [(0.5, 3), (1.0, 3), (0.95, 0)])
def test_a_quantile_out_of_range_is_refused(probability: float, degrees: int) -> None:
    with pytest.raises(ValueError, match="out of range"):
        t_quantile(probability, degrees)
