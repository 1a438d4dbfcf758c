"""The table of experiments: one row per group and metric, summarised over cycles."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

import pandas as pd

from llm_energy.results.metrics import METRICS, Metric
from llm_energy.stats.cycle_summary import summarise
from llm_energy.stats.intervals import Interval, total_uncertainty
from llm_energy.stats.outliers import outlier

GROUP = ("experiment", "spec_hash", "device_model", "power_limit_watts")
"""What is never averaged across."""

_TEXTS = ("experiment", "spec_hash", "device_model", "metric", "unit")
_INTEGERS = ("n", "cycles_needed", "cycles_needed_stein", "outlying_cycle")
_SENSOR = ("sensor_gain_limit_relative", "sensor_offset_limit_watts", "mean_power_watts")
_STATISTICS = (
    "mean",
    "standard_deviation",
    "coefficient_of_variation",
    "median",
    "minimum",
    "maximum",
    "t_low",
    "t_high",
    "relative_half_width",
    "geometric_mean",
    "log_t_low",
    "log_t_high",
    "bca_low",
    "bca_high",
    "total_standard_uncertainty",
    "total_degrees_of_freedom",
    "total_low",
    "total_high",
)
COLUMNS = (*GROUP, "metric", "unit", "n", *_STATISTICS, *_INTEGERS[1:])


def experiments_table(
    measurements: pd.DataFrame, metrics: Sequence[Metric] = METRICS
) -> pd.DataFrame:
    """One row per experiment group and metric that has at least one value.

    Intervals have 95 % confidence: `t_*` is for the mean, `log_t_*` for the geometric mean,
    `bca_*` (from 10 cycles on) again for the mean, by bootstrap, and `total_*` for the mean with
    the limits of the power sensor, where the metric depends on it. `outlying_cycle` is the one
    that Grubbs' test finds (see `outliers.py`); it is part of all numbers.

    Args:
        measurements: as `llm_energy.analysis.measurements_table.measurements_table` makes it.
    """
    needed = (*GROUP, "cycle", *_SENSOR, *(metric.column for metric in metrics))
    every = {name: _plain(measurements[name]) for name in needed}
    rows = []
    for places in _groups(measurements):
        columns = {name: [column[place] for place in places] for name, column in every.items()}
        key = {name: columns[name][0] for name in GROUP}
        for metric in metrics:
            if any(value is not None for value in columns[metric.column]):
                rows.append(key | _row(columns, metric))
    types = (
        dict.fromkeys(COLUMNS, "Float64")
        | dict.fromkeys(_TEXTS, "string")
        | dict.fromkeys(_INTEGERS, "Int64")
    )
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(types)


def _groups(measurements: pd.DataFrame) -> Iterable[list[int]]:
    """Places of the rows of each group, in the order in which the groups appear."""
    places: dict[int, list[int]] = defaultdict(list)
    numbers = measurements.groupby(list(GROUP), dropna=False, sort=False).ngroup()
    for place, number in enumerate(numbers):
        places[number].append(place)
    return places.values()


def _plain(column: pd.Series) -> list[Any]:
    """Python's own values: None where there is none."""
    return [None if lacks else value for value, lacks in zip(column, column.isna(), strict=True)]


def _row(columns: Mapping[str, Sequence[Any]], metric: Metric) -> dict[str, Any]:
    present = [
        (float(value), int(cycle))
        for value, cycle in zip(columns[metric.column], columns["cycle"], strict=True)
        if value is not None
    ]
    values = [value for value, _ in present]
    summary, outlying = summarise(values), outlier(values)
    limit = _sensor_limit(columns, metric)
    total = None
    if limit is not None and summary.standard_deviation is not None:
        total = total_uncertainty(
            mean=summary.mean,
            standard_deviation=summary.standard_deviation,
            n=summary.n,
            gain_limit=limit,
        )
    simple = ("n", *_STATISTICS[:6], "relative_half_width", "geometric_mean")
    return {
        "metric": metric.column,
        "unit": metric.unit,
        **{name: getattr(summary, name) for name in simple},
        **_ends("t", summary.t_interval),
        **_ends("log_t", summary.log_t_interval),
        **_ends("bca", summary.bca_interval),
        "total_standard_uncertainty": total.standard_uncertainty if total else None,
        "total_degrees_of_freedom": total.degrees_of_freedom if total else None,
        **_ends("total", total.interval if total else None),
        "cycles_needed": summary.cycles_needed,
        "cycles_needed_stein": summary.cycles_needed_stein,
        "outlying_cycle": None if outlying is None else present[outlying][1],
    }


def _sensor_limit(columns: Mapping[str, Sequence[Any]], metric: Metric) -> float | None:
    """What the sensor may be wrong by in this metric, relative; None where that is not known."""
    gain, offset_watts, power_watts = (_mean(columns[name]) for name in _SENSOR)
    return sensor_limit(metric, gain=gain, offset_watts=offset_watts, power_watts=power_watts)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def sensor_limit(
    metric: Metric,
    *,
    gain: float | None,
    offset_watts: float | None,
    power_watts: float | None,
) -> float | None:
    """What a power sensor may be wrong by in a metric, relative; None where that is not known.

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


def _ends(prefix: str, interval: Interval | None) -> dict[str, float | None]:
    low, high = (interval.low, interval.high) if interval else (None, None)
    return {f"{prefix}_low": low, f"{prefix}_high": high}
