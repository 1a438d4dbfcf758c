"""Intervals over cycles: known answers, references of scipy, and edges."""

import math
from statistics import fmean, stdev

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from llm_energy.stats.intervals import (
    Interval,
    bca_interval,
    ends,
    geometric_mean,
    known_mean,
    log_t_interval,
    t_interval,
    total_uncertainty,
)

A = [0.50, 0.52, 0.49, 0.51, 0.53]
positive_values = st.lists(st.floats(1e-3, 1e6), min_size=2, max_size=30)
confidences = st.sampled_from([0.5, 0.9, 0.95, 0.99])


def with_spread(mean, deviation, n):
    """n values of this mean and standard deviation."""
    ranks = range(n)
    return [mean + deviation * (rank - fmean(ranks)) / stdev(ranks) for rank in ranks]


class TestKnownAnswers:
    def test_t_interval_of_a(self):
        interval = t_interval(A)
        assert (interval.low + interval.high) / 2 == pytest.approx(0.51)
        assert interval.half_width == pytest.approx(0.019632, abs=5e-7)
        assert interval.half_width / 0.51 == pytest.approx(0.0385, abs=5e-5)

    def test_geometric_mean_of_a_with_its_log_t_interval(self):
        interval = log_t_interval(A)
        assert geometric_mean(A) == pytest.approx(0.50980, abs=5e-6)
        assert (interval.low, interval.high) == pytest.approx((0.49054, 0.52982), abs=5e-6)

    @pytest.mark.parametrize(
        ("limits", "half_width"), [((), 24.841), ((0.05,), 25.340), ((0.1,), 26.779)]
    )
    def test_total_interval_of_three_cycles(self, limits, half_width):
        """t(2)·10/√3 = 24.8414, with 5 and 10 by root sum square."""
        total = total_uncertainty([90.0, 100.0, 110.0], limits=limits)
        assert total.interval.half_width == pytest.approx(half_width, abs=5e-4)

    def test_every_interval_keeps_its_confidence(self):
        """t(4) at 0.9 is 2.131847, over 2.776445 at 0.95."""
        ninety, usual = t_interval(A, 0.9), t_interval(A)
        assert (ninety.confidence, usual.confidence) == (0.9, 0.95)
        assert ninety.half_width / usual.half_width == pytest.approx(2.131847 / 2.776445)
        logarithms = t_interval([math.log(value) for value in A], 0.9)
        expected = Interval(math.exp(logarithms.low), math.exp(logarithms.high), 0.9)
        assert log_t_interval(A, 0.9) == expected
        total = total_uncertainty(A, limits=[0.0], confidence=0.9).interval
        assert (total.half_width, total.confidence) == (pytest.approx(ninety.half_width), 0.9)

    def test_gain_joins_repeatability_once_and_is_not_divided_by_the_cycles(self):
        total = total_uncertainty(with_spread(0.5, 0.005, 5), limits=[0.05])
        assert total.standard_uncertainty == pytest.approx(0.0146059, abs=5e-8)
        assert total.interval.half_width == pytest.approx(0.0257592, abs=5e-7)

    def test_the_limits_of_gain_and_offset_add(self):
        total = total_uncertainty([2.0] * 3, limits=[0.05, 0.02])
        assert total.interval.half_width == pytest.approx(0.14)
        assert total.standard_uncertainty == pytest.approx(
            2 * math.hypot(0.05, 0.02) / math.sqrt(3)
        )


class TestAgreementWithScipy:
    @given(positive_values, confidences)
    def test_t_interval(self, values, confidence):
        assume(stdev(values) > 1e-9 * max(values))  # scipy gives nan for a scale of 0
        expected = stats.t.interval(
            confidence,
            len(values) - 1,
            loc=math.fsum(values) / len(values),
            scale=stdev(values) / math.sqrt(len(values)),
        )
        interval = t_interval(values, confidence)
        assert (interval.low, interval.high) == pytest.approx(expected, rel=1e-9, abs=1e-9)

    @given(positive_values)
    def test_geometric_mean(self, values):
        assert geometric_mean(values) == pytest.approx(float(stats.gmean(values)), rel=1e-9)


class TestAgreementWithStatsmodels:
    """statsmodels 0.15.0: DescrStatsW(values).tconfint_mean(0.05), also of the logarithms."""

    def test_t_interval(self):
        interval = t_interval(A)
        expected = (0.49036756838522444, 0.5296324316147756)
        assert (interval.low, interval.high) == pytest.approx(expected, rel=1e-9)

    def test_log_t_interval(self):
        interval = log_t_interval(A)
        logarithms = (math.log(interval.low), math.log(interval.high))
        expected = (-0.7122436181397467, -0.6352149264777769)
        assert logarithms == pytest.approx(expected, rel=1e-9)


class TestBootstrap:
    values = (*A, 0.515, 0.505, 0.525, 0.495, 0.535) * 3

    def test_it_is_a_second_opinion_from_thirty_values_on(self):
        assert bca_interval(self.values[:29]) is None
        bca, t = bca_interval(self.values), t_interval(self.values)
        assert bca.low == pytest.approx(t.low, abs=0.004)
        assert bca.high == pytest.approx(t.high, abs=0.004)

    def test_equal_values_give_the_same_interval_again(self):
        assert bca_interval(self.values) == bca_interval(self.values)

    def test_it_is_the_one_of_scipy_with_4999_resamples(self):
        chance = np.random.default_rng(2026)
        found = stats.bootstrap((self.values,), np.mean, n_resamples=4999, rng=chance)
        assert bca_interval(self.values) == Interval(*found.confidence_interval)

    def test_it_has_the_confidence_that_was_requested(self):
        sure, surer = (bca_interval(self.values, confidence) for confidence in (0.8, 0.99))
        assert (sure.confidence, surer.confidence) == (0.8, 0.99)
        assert surer.half_width / sure.half_width == pytest.approx(2.576 / 1.282, rel=0.1)

    def test_values_without_spread_have_none(self):
        assert bca_interval([1.0] * 30) is None


class TestEdges:
    @pytest.mark.parametrize("interval", [t_interval, log_t_interval])
    def test_one_value_gives_no_interval(self, interval):
        assert interval([0.5]) is None

    def test_equal_values_give_an_interval_of_no_width(self):
        assert t_interval([2.0, 2.0, 2.0]).half_width == 0

    def test_logarithms_of_values_that_are_not_positive_do_not_exist(self):
        assert geometric_mean([-1.0, 2.0]) is geometric_mean([0.0, 2.0]) is None
        assert log_t_interval([0.0, 2.0]) is None

    def test_one_cycle_has_no_total_uncertainty(self):
        assert total_uncertainty([0.5], limits=[0.05]) is None

    def test_without_a_limit_of_the_sensor_there_is_no_total_uncertainty(self):
        assert total_uncertainty(A, limits=None) is None

    def test_cycles_without_spread_leave_the_gain_alone(self):
        total = total_uncertainty([-2.0] * 3, limits=[0.05])
        assert (total.interval.low, total.interval.high) == pytest.approx((-2.1, -1.9))
        assert total.standard_uncertainty == pytest.approx(0.1 / math.sqrt(3))


class TestParts:
    def test_ends_stand_under_their_names(self):
        assert ends(Interval(1.0, 2.0)) == {"low": 1.0, "high": 2.0}
        assert ends(Interval(1.0, 2.0), "t_{}") == {"t_low": 1.0, "t_high": 2.0}
        assert ends(None, "t_{}") == {"t_low": None, "t_high": None}

    def test_a_mean_of_what_is_known(self):
        assert known_mean([1.0, None, 0.0, 5.0]) == 2.0
        assert known_mean([None]) is None


class TestProperties:
    @given(positive_values)
    def test_both_intervals_hold_their_own_estimate(self, values):
        t, log_t = t_interval(values), log_t_interval(values)
        assert t.low <= math.fsum(values) / len(values) * (1 + 1e-12)
        assert log_t.low <= geometric_mean(values) * (1 + 1e-12)
        assert geometric_mean(values) <= log_t.high * (1 + 1e-12)

    @given(st.floats(0.1, 10), st.floats(0.001, 1), st.integers(2, 20), st.floats(0.001, 0.2))
    def test_total_uncertainty_is_never_below_either_part(self, mean, deviation, n, gain):
        values = with_spread(mean, deviation, n)
        total = total_uncertainty(values, limits=[gain])
        rounding = 1 - 1e-9
        assert total.standard_uncertainty >= deviation / math.sqrt(n) * rounding
        assert total.standard_uncertainty >= gain / math.sqrt(3) * mean * rounding
        assert total.interval.half_width >= t_interval(values).half_width * rounding
        assert total.interval.half_width >= gain * mean * rounding

    @given(
        spreads := st.floats(0, 1),
        spreads,
        gains := st.floats(0, 0.2),
        gains,
        counts := st.integers(2, 20),
        counts,
    )
    def test_a_worse_sensor_more_spread_or_fewer_cycles_never_narrow_the_total_interval(
        self, spread, more_spread, gain, more_gain, n, more_cycles
    ):
        def half_width(spread, gain, n):
            values = with_spread(1.0, spread, n)
            return total_uncertainty(values, limits=[gain]).interval.half_width * (1 + 1e-9)

        best = half_width(spread, gain, n + more_cycles) / (1 + 1e-9) ** 2
        assert half_width(spread, gain, n) >= best
        assert half_width(spread + more_spread, gain, n + more_cycles) >= best
        assert half_width(spread, gain + more_gain, n + more_cycles) >= best


class TestTwoStages:
    """Three cycles that scatter decided on ten, and the seven others happen to be equal."""

    first = (1.0, 1.05, 0.95)
    values = (*first, *[1.0] * 7)

    def test_every_interval_rests_on_the_spread_of_the_first_cycles(self):
        # t(2) = 4.302653; s = 0.05, of the logarithms 0.0500467
        assert t_interval(self.values, pilot=self.first).half_width == pytest.approx(
            4.302653 * 0.05 / math.sqrt(10), rel=1e-6
        )
        log_t = log_t_interval(self.values, pilot=self.first)
        half_width = math.log(log_t.high / log_t.low) / 2
        assert half_width == pytest.approx(4.302653 * 0.0500467 / math.sqrt(10), rel=1e-4)

    def test_first_cycles_of_one_value_show_no_spread(self):
        """As of the share of good requests: 100 % in the first three, less in two of the others."""
        first = (1.0, 1.0, 1.0)
        values = (*first, 0.9, 1.0, 0.95, 1.0)
        for interval in (t_interval, log_t_interval):
            assert interval(values, pilot=first) == interval(values)
        total = total_uncertainty(values, limits=[0.01], pilot=first)
        assert total == total_uncertainty(values, limits=[0.01])

    @pytest.mark.parametrize("gain", [0.0, 0.001, 0.05])
    def test_the_total_interval_is_never_narrower_than_its_repeatability_part(self, gain):
        total = total_uncertainty(self.values, limits=[gain], pilot=self.first)
        repeatability = t_interval(self.values, pilot=self.first)
        assert total.interval.low <= repeatability.low
        assert total.interval.high >= repeatability.high
        assert total.standard_uncertainty == pytest.approx(
            math.hypot(0.05 / 10**0.5, gain / 3**0.5)
        )
