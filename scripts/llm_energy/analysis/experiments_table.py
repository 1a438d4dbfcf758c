"""The table of experiments: one row per group and metric, summarised over cycles."""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, median
from typing import Any

import pandas as pd

from llm_energy.analysis.table_columns import Row, columns_of, records_by
from llm_energy.results.metrics import METRICS, Metric
from llm_energy.results.result import Result
from llm_energy.stats.cycles_needed import cycles_needed, cycles_needed_stein
from llm_energy.stats.intervals import (
    bca_interval,
    ends,
    geometric_mean,
    known_mean,
    log_t_interval,
    standard_deviation,
    t_interval,
    total_uncertainty,
)
from llm_energy.stats.outliers import outlier

GROUP = ("experiment", "spec_hash", "device_model", "power_limit_watts")
"""Columns that are never averaged across."""

TARGET_RELATIVE_HALF_WIDTH = 0.02
"""The precision for which the number of cycles is worked out: ±2 % of the mean."""

MINIMUM_PILOT_CYCLES = 5
"""Below it the spread is too poorly known for a number of cycles to mean anything (at n = 3 the
95 % interval of the standard deviation spans a factor of 12)."""

_SENSOR = ("sensor_gain_limit_relative", "sensor_offset_limit_watts", "mean_power_watts")


def group_of(result: Result) -> tuple[str, str, str, float | None]:
    """The values of `GROUP` of a result."""
    place = result.environment
    return result.experiment, result.spec_hash, place.device_model, place.power_limit_watts


class ExperimentRow(Row):
    """One metric of one experiment over its cycles, in the unit of the metric. None is not known
    from so few cycles, never 0."""

    experiment: str
    spec_hash: str
    device_model: str
    power_limit_watts: float | None
    metric: str
    """Column of the table of measurements that is summarised."""
    unit: str
    """Unit of mean, median, intervals and the like."""
    n: int
    """Cycles that have a value."""
    mean: float
    """Mean over cycles."""
    standard_deviation: float | None
    """Standard deviation over cycles, over n − 1; none for one cycle."""
    coefficient_of_variation: float | None
    """Standard deviation over the magnitude of the mean."""
    median: float
    """Median over cycles."""
    minimum: float
    """Least value of a cycle."""
    maximum: float
    """Greatest value of a cycle."""
    t_low: float | None
    """Lower end of the 95 % Student t interval of the mean; by Stein's two stages for the metric
    that decided adaptive cycles."""
    t_high: float | None
    """Upper end of the same interval."""
    relative_half_width: float | None
    """Half the width of the t interval over the magnitude of the mean."""
    geometric_mean: float | None
    """Geometric mean over cycles."""
    log_t_low: float | None
    """Lower end of the 95 % log-t interval of the geometric mean (not of the mean)."""
    log_t_high: float | None
    """Upper end of the 95 % log-t interval of the geometric mean."""
    bca_low: float | None
    """Lower end of the 95 % BCa bootstrap interval of the mean; from 10 cycles on."""
    bca_high: float | None
    """Upper end of the 95 % BCa bootstrap interval of the mean."""
    total_standard_uncertainty: float | None
    """Standard uncertainty of the mean: spread over cycles and limits of the sensor together."""
    total_degrees_of_freedom: float | None
    """Degrees of freedom of the total uncertainty (Welch-Satterthwaite)."""
    total_low: float | None
    """Lower end of the 95 % interval of the mean with the uncertainty of the sensor."""
    total_high: float | None
    """Upper end of the 95 % interval of the mean with the uncertainty of the sensor."""
    cycles_needed: int | None
    """Cycles for ±2 %, taking the spread as known; from 5 cycles on."""
    cycles_needed_stein: int | None
    """Cycles for ±2 %, whatever the true spread is (Stein); from 5 cycles on."""
    outlying_cycle: int | None
    """Cycle that Grubbs' test finds far from the others; it is part of every number."""


def experiments_table(
    measurements: pd.DataFrame, metrics: Sequence[Metric] = METRICS
) -> pd.DataFrame:
    """One row per experiment group and metric that has at least one value.

    Args:
        measurements: as `llm_energy.analysis.measurements_table.measurements_table` makes it.
    """
    needed = ("cycle", *_SENSOR, *(metric.column for metric in metrics))
    rows = [
        dict(_row(cycles, metric))
        for cycles in records_by(measurements, GROUP, needed).values()
        for metric in metrics
        if any(cycle[metric.column] is not None for cycle in cycles)
    ]
    columns = columns_of(ExperimentRow)
    types = {name: column.dtype for name, column in columns.items()}
    return pd.DataFrame(rows, columns=list(columns)).astype(types)


def _row(cycles: Sequence[Mapping[str, Any]], metric: Metric) -> ExperimentRow:
    present = [cycle for cycle in cycles if cycle[metric.column] is not None]
    values = [float(cycle[metric.column]) for cycle in present]
    gain, offset_watts, power_watts = (known_mean(c[name] for c in cycles) for name in _SENSOR)
    limit = sensor_limit(metric, gain=gain, offset_watts=offset_watts, power_watts=power_watts)
    outlying = outlier(values)
    return ExperimentRow(
        **{name: cycles[0][name] for name in GROUP},
        metric=metric.column,
        unit=metric.unit,
        outlying_cycle=None if outlying is None else present[outlying]["cycle"],
        **statistics_of(values, sensor_limit=limit),
    )


def statistics_of(values: Sequence[float], *, sensor_limit: float | None = None) -> dict[str, Any]:
    """The statistics of an `ExperimentRow` from one value per cycle.

    Args:
        sensor_limit: relative limit of error that is common to all values; None where unknown.
    """
    n, mean = len(values), fmean(values)
    deviation = standard_deviation(values) if n > 1 else None
    student = t_interval(values)
    total = total_uncertainty(values, gain_limit=sensor_limit)
    pilot = values if n >= MINIMUM_PILOT_CYCLES else ()
    return {
        "n": n,
        "mean": mean,
        "standard_deviation": deviation,
        "coefficient_of_variation": deviation / abs(mean)
        if deviation is not None and mean
        else None,
        "median": median(values),
        "minimum": min(values),
        "maximum": max(values),
        **ends(student, "t_{}"),
        "relative_half_width": student.half_width / abs(mean) if student and mean else None,
        "geometric_mean": geometric_mean(values),
        **ends(log_t_interval(values), "log_t_{}"),
        **ends(bca_interval(values), "bca_{}"),
        "total_standard_uncertainty": total.standard_uncertainty if total else None,
        "total_degrees_of_freedom": total.degrees_of_freedom if total else None,
        **ends(total.interval if total else None, "total_{}"),
        "cycles_needed": cycles_needed(pilot, TARGET_RELATIVE_HALF_WIDTH),
        "cycles_needed_stein": cycles_needed_stein(pilot, TARGET_RELATIVE_HALF_WIDTH),
    }


def sensor_limit(
    metric: Metric,
    *,
    gain: float | None,
    offset_watts: float | None,
    power_watts: float | None,
) -> float | None:
    """Return the relative limit of error of a power sensor in a metric; None where it is unknown.

    At one power an offset acts as a gain; both are independent of each other, and common to all
    cycles.

    Args:
        gain: limit of the sensor's gain, relative.
        offset_watts: limit of its offset.
        power_watts: mean power that it read.
    """
    if metric.sensor is None or gain is None:
        return None
    if metric.sensor == "gross" and offset_watts is not None and power_watts:
        return math.hypot(gain, offset_watts / power_watts)
    return gain
