"""The table of experiments: one row per group and metric, summarised over cycles."""

from collections.abc import Mapping, Sequence
from statistics import fmean, median
from typing import Any, Literal

import pandas as pd

from llm_energy.analysis.table_columns import Row, columns_of, records_by
from llm_energy.results.metrics import METRICS, Metric
from llm_energy.results.open_load import SATURATED
from llm_energy.results.result import Result
from llm_energy.stats.attainment import Attainment, attainment_interval
from llm_energy.stats.cycles_needed import cycles_needed, cycles_needed_stein
from llm_energy.stats.device_spread import DeviceSpread, device_spread
from llm_energy.stats.intervals import (
    Interval,
    bca_interval,
    ends,
    geometric_mean,
    known_mean,
    log_t_interval,
    standard_deviation,
    standard_error,
    t_interval,
    total_uncertainty,
)
from llm_energy.stats.outliers import outlier

GROUP = ("experiment", "spec_hash", "device_model", "power_limit_watts", "saturated")
"""Columns that are never averaged across."""

TARGET_RELATIVE_HALF_WIDTH = 0.02
"""The precision for which the number of cycles is worked out: ±2 % of the mean."""

MINIMUM_PILOT_CYCLES = 5
"""Below it the spread is too poorly known for a number of cycles to mean anything (at n = 3 the
95 % interval of the standard deviation spans a factor of 12)."""

SENSOR = ("sensor_gain_limit_relative", "sensor_offset_limit_watts", "mean_power_watts")
"""Columns of the limits of a power sensor, and of the power that it read."""

HOST_SENSOR = ("host_gain_limit_relative", "host_offset_limit_watts", "host_mean_power_watts")
"""The same of the sensors of the host."""


def group_of(result: Result) -> tuple[str, str, str, float | None, bool | None]:
    """The values of `GROUP` of a result."""
    place = (result.environment.device_model, result.environment.power_limit_watts)
    return result.experiment, result.spec_hash, *place, is_saturated(result)


def is_saturated(result: Result) -> bool | None:
    """Return True where the queue of an open load grew; None in other load modes."""
    return None if result.open_load is None else result.open_load.saturation == SATURATED


IntervalRule = Literal["t", "t_devices", "two_stage", "one_cycle", "first_cycles_missing"]


class ExperimentRow(Row):
    """One metric of one experiment over its cycles, in the unit of the metric. None is not known
    from so few cycles, never 0."""

    experiment: str
    spec_hash: str
    device_model: str
    power_limit_watts: float | None
    saturated: bool | None
    """True for cycles of load mode `open` whose queue grew: they are kept apart from the others."""
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
    interval_rule: IntervalRule
    """Rule of the intervals: `t`, with the spread over all cycles; `t_devices`, with the spread
    between devices too; `two_stage` (Stein), with the spread over the first cycles, which decided
    how many there are. Otherwise the reason why there is none: `one_cycle`, or
    `first_cycles_missing` where fewer than two of the first cycles have a value."""
    devices: int
    """Devices, or sets of devices, that the cycles with a value were measured on."""
    between_devices_standard_deviation: float | None
    """Standard deviation between devices; none where it cannot be distinguished from the spread
    between cycles."""
    repeatability_standard_uncertainty: float | None
    """Standard uncertainty of the mean from the spread over cycles alone: s/√n, under `two_stage`
    with s of the first cycles, under `t_devices` with the spread between devices."""
    t_low: float | None
    """Lower end of the repeatability interval: 95 % for the mean from the spread over cycles alone
    (Student's t), without the sensor's limits. For a share of requests that of Korn and Graubard,
    which lies within 0 to 1, and has a width at 0 and at 1, too."""
    t_high: float | None
    """Upper end of the repeatability interval."""
    relative_half_width: float | None
    """Half the width of this interval over the magnitude of the mean."""
    geometric_mean: float | None
    """Geometric mean over cycles."""
    log_t_low: float | None
    """Lower end of the 95 % log-t interval of the geometric mean (not of the mean); none of a
    share."""
    log_t_high: float | None
    """Upper end of the 95 % log-t interval of the geometric mean."""
    bca_low: float | None
    """Lower end of the 95 % BCa bootstrap interval of the mean; from 30 cycles on. Empty under
    `two_stage`, because resampling takes the number of cycles as given, and under `t_devices`,
    because it takes cycles as independent."""
    bca_high: float | None
    """Upper end of the 95 % BCa bootstrap interval of the mean."""
    total_standard_uncertainty: float | None
    """Combined standard uncertainty of the mean: repeatability and limits of the sensor (a/√3)."""
    total_low: float | None
    """Lower end of the total interval: 95 % for the mean, repeatability and the sensor's full
    limits together. It is never narrower than the repeatability interval."""
    total_high: float | None
    """Upper end of the total interval."""
    cycles_needed: int | None
    """Cycles for ±2 %, taking the spread as known; from 5 cycles on. More cycles do not lessen the
    spread between devices."""
    cycles_needed_stein: int | None
    """Cycles for ±2 %, whatever the true spread is (Stein); from 5 cycles on."""
    outlying_cycle: int | None
    """Cycle that Grubbs' test finds far from the others; it is part of every number."""


def experiments_table(
    measurements: pd.DataFrame,
    metrics: Sequence[Metric] = METRICS,
    *,
    first_cycles: int | None = None,
) -> pd.DataFrame:
    """One row per experiment group and metric that has at least one value.

    Args:
        measurements: as `llm_energy.analysis.measurements_table.measurements_table` makes it.
        first_cycles: the cycles that decided how many there are; None where their number was given.
    """
    of_metrics = (metric.column for metric in metrics)
    needed = ("cycle", "device_uuids", "host", "arrivals", *SENSOR, *HOST_SENSOR, *of_metrics)
    rows = [
        vars(_row(cycles, metric, first_cycles))
        for cycles in records_by(measurements, GROUP, needed).values()
        for metric in metrics
        if any(cycle[metric.column] is not None for cycle in cycles)
    ]
    columns = columns_of(ExperimentRow)
    types = {name: column.dtype for name, column in columns.items()}
    return pd.DataFrame(rows, columns=list(columns)).astype(types)


def _row(
    cycles: Sequence[Mapping[str, Any]], metric: Metric, first_cycles: int | None
) -> ExperimentRow:
    present = [cycle for cycle in cycles if cycle[metric.column] is not None]
    values = [float(cycle[metric.column]) for cycle in present]
    pilot = None
    if first_cycles is not None and any(cycle["cycle"] > first_cycles for cycle in cycles):
        pilot = [float(c[metric.column]) for c in present if c["cycle"] <= first_cycles]
    outlying = outlier(values)
    statistics = statistics_of(
        values,
        limits=sensor_limits(metric, cycles),
        pilot=pilot,
        devices=[cycle["device_uuids"] or cycle["host"] for cycle in present],
    )
    return ExperimentRow(
        **{name: cycles[0][name] for name in GROUP},
        metric=metric.column,
        unit=metric.unit,
        outlying_cycle=None if outlying is None else present[outlying]["cycle"],
        **(_of_requests(statistics, metric, present) if metric.is_share else statistics),
    )


def _of_requests(
    statistics: Mapping[str, Any], metric: Metric, cycles: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return statistics of a share of requests, the number of which is part of its interval.

    Its geometric mean has none: cycles that all have the same share show no spread.
    """
    found = {**statistics, **ends(None, "log_t_{}")}
    if found["t_low"] is not None:
        counts = [
            Attainment(round(cycle[metric.column] * cycle["arrivals"]), int(cycle["arrivals"]))
            for cycle in cycles
        ]
        own = attainment_interval(counts, Interval(found["t_low"], found["t_high"]))
        found |= ends(own, "t_{}")
        found["relative_half_width"] = own.half_width / found["mean"] if found["mean"] else None
    return found


def statistics_of(
    values: Sequence[float],
    *,
    limits: Sequence[float] | None = None,
    pilot: Sequence[float] | None = None,
    devices: Sequence[str] | None = None,
) -> dict[str, Any]:
    """The statistics of an `ExperimentRow` from one value per cycle.

    Args:
        limits: relative limits of errors that are common to all values; None where unknown.
        pilot: those of the first cycles, where a second stage followed.
        devices: the devices that each value is of; None: of one.
    """
    n, mean = len(values), fmean(values)
    deviation = standard_deviation(values) if n > 1 else None
    student = t_interval(values, pilot=pilot, devices=devices)
    total = total_uncertainty(values, limits=limits, pilot=pilot, devices=devices)
    spread = None if devices is None else device_spread(values, devices)
    known = values if n >= MINIMUM_PILOT_CYCLES else ()
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
        "interval_rule": _interval_rule(n, pilot, spread),
        "devices": len(set(devices)) if devices else 1,
        "between_devices_standard_deviation": spread.between if spread else None,
        "repeatability_standard_uncertainty": standard_error(values, pilot=pilot, devices=devices),
        **ends(student, "t_{}"),
        "relative_half_width": student.half_width / abs(mean) if student and mean else None,
        "geometric_mean": geometric_mean(values),
        **ends(log_t_interval(values, pilot=pilot, devices=devices), "log_t_{}"),
        **ends(bca_interval(values) if pilot is None and spread is None else None, "bca_{}"),
        "total_standard_uncertainty": total.standard_uncertainty if total else None,
        **ends(total.interval if total else None, "total_{}"),
        "cycles_needed": cycles_needed(known, TARGET_RELATIVE_HALF_WIDTH),
        "cycles_needed_stein": cycles_needed_stein(known, TARGET_RELATIVE_HALF_WIDTH),
    }


def _interval_rule(
    n: int, pilot: Sequence[float] | None, spread: DeviceSpread | None
) -> IntervalRule:
    if n < 2:
        return "one_cycle"
    if pilot is None:
        return "t_devices" if spread else "t"
    return "two_stage" if len(pilot) > 1 else "first_cycles_missing"


def sensor_limits(metric: Metric, cycles: Sequence[Mapping[str, Any]]) -> tuple[float, ...] | None:
    """Relative limits of the errors of a power sensor in a metric; None where they are unknown.

    Those of its gain and its offset, which at one power acts as a gain, each the mean of what is
    known over the cycles: both are common to all cycles.

    Args:
        cycles: with the columns of `SENSOR` and `HOST_SENSOR`.
    """
    columns = HOST_SENSOR if metric.of_host else SENSOR
    gain, offset_watts, power_watts = (known_mean(c[name] for c in cycles) for name in columns)
    if metric.sensor is None or gain is None:
        return None
    if metric.sensor == "gross" and offset_watts is not None and power_watts:
        return gain, offset_watts / power_watts
    return (gain,)
