"""Drift over run positions: a common slope beneath the levels of the experiments."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from llm_energy.stats.drift import drift_over_positions


def test_levels_of_experiments_are_no_drift():
    drift = drift_over_positions(
        [("slow", 0, 10.0), ("fast", 1, 99.0), ("fast", 2, 99.0), ("slow", 3, 10.0)]
    )
    assert drift.change == pytest.approx(0, abs=1e-12)
    assert drift.observations == 4


def test_a_planted_drift_is_found_whatever_the_order_of_experiments():
    planted = math.log(1.05) / 11
    names = ["a", "b", "c", "b", "a", "c", "c", "a", "b", "a", "c", "b"]
    level = {"a": 10.0, "b": 20.0, "c": 40.0}
    drift = drift_over_positions(
        (name, position, level[name] * math.exp(planted * position))
        for position, name in enumerate(names)
    )
    assert drift.change == pytest.approx(0.05)
    assert drift.low == pytest.approx(0.05)


def test_one_measurement_of_each_experiment_is_not_testable():
    assert drift_over_positions([("a", 0, 1.0), ("b", 1, 2.0), ("c", 2, 3.0)]) is None


@pytest.mark.parametrize("positions", [(0, 1), (2, 2, 2)])
def test_a_line_through_two_points_or_over_one_position_is_not_testable(positions):
    assert drift_over_positions(("only", p, 1.0 + i) for i, p in enumerate(positions)) is None


def test_a_change_is_that_over_the_run_wherever_its_positions_begin():
    values = [("a", 0, 10.0), ("a", 1, 10.1), ("b", 2, 20.0), ("b", 3, 20.4)]
    here = drift_over_positions(values)
    later = drift_over_positions((name, 100 + position, value) for name, position, value in values)
    assert (later.change, later.low) == pytest.approx((here.change, here.low))
    assert math.log1p(here.change) == pytest.approx(3 * math.log(1.01 * 1.02) / 2)


def test_a_surer_interval_is_wider():
    values = [("a", 0, 10.0), ("a", 1, 10.1), ("b", 2, 20.0), ("b", 3, 20.4)]
    half_widths = [
        math.log((1 + found.high) / (1 + found.low)) / 2
        for found in (drift_over_positions(values, confidence) for confidence in (0.9, 0.95))
    ]
    assert half_widths[1] / half_widths[0] == pytest.approx(12.7062 / 6.3138, rel=1e-4)  # t(1)


@given(st.lists(st.floats(0.5, 2.0), min_size=3, max_size=20))
def test_of_one_experiment_it_is_scipys_linear_regression(values):
    assume(max(values) - min(values) > 1e-6)  # scipy gives nan for a line without scatter
    reference = stats.linregress(range(len(values)), [math.log(v) for v in values])
    drift = drift_over_positions(("only", i, v) for i, v in enumerate(values))
    span = len(values) - 1
    half_width = stats.t.ppf(0.975, len(values) - 2) * reference.stderr
    assert math.log1p(drift.change) == pytest.approx(reference.slope * span, abs=1e-9)
    assert math.log1p(drift.high) == pytest.approx((reference.slope + half_width) * span, abs=1e-6)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0.5, 2.0)), min_size=6, max_size=24))
def test_it_is_least_squares_with_one_level_per_experiment(runs):
    drift = drift_over_positions((name, i, value) for i, (name, value) in enumerate(runs))
    assume(drift is not None)
    names = sorted({name for name, _ in runs})
    design = np.array([[float(n == name) for n in names] + [i] for i, (name, _) in enumerate(runs)])
    fitted = np.linalg.lstsq(design, np.log([value for _, value in runs]), rcond=None)[0]
    assert math.log1p(drift.change) == pytest.approx(fitted[-1] * (len(runs) - 1), abs=1e-7)


def test_it_agrees_with_a_regression_with_one_level_for_each_experiment():
    # statsmodels 0.15.0: OLS of the logarithms on one indicator for each experiment and position
    values = [("a", 0, 10.0), ("b", 1, 20.1), ("b", 2, 20.0)]
    values += [("a", 3, 10.3), ("a", 4, 10.25), ("b", 5, 20.6)]
    found, span = drift_over_positions(values), 5
    slope, low, high = 0.0070106649148183875, 0.00158335543140117, 0.0124379743982356
    assert math.log1p(found.change) == pytest.approx(span * slope, rel=1e-9)
    assert math.log1p(found.low) == pytest.approx(span * low, rel=1e-9)
    assert math.log1p(found.high) == pytest.approx(span * high, rel=1e-9)
