"""Differences between devices of one model that a campaign was measured on.

Each cycle lies on one device. Its level is the mean of its measurements over the means of their
experiments, on logarithms. The mean over a device's cycles is compared with the median of all
others, so that one device that is far away makes no other one stand out.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean, median
from typing import Any

import pandas as pd

from llm_energy.analysis.experiments_table import GROUP
from llm_energy.analysis.table_columns import records_by
from llm_energy.results.metrics import WATCHED, Metric, watched
from llm_energy.results.parts import Model
from llm_energy.stats.intervals import t_quantile

FAMILY_CONFIDENCE = 0.99
"""Confidence of the intervals of all devices of a model together (Bonferroni)."""

MEDIAN_VARIANCE = math.pi / 2
"""Variance of a median over that of the mean, of many normal values; of fewer it is less."""

Block = tuple[Any, ...]


class DeviceDifference(Model):
    """One device, or set of devices, against all others of its model, in one metric."""

    device: str
    """UUIDs, joined by `;`; the host where its CPU was measured."""
    device_model: str
    metric: str
    cycles: int
    """Cycles that lie on it."""
    others: int
    """Number of other devices of the model."""
    ratio: float | None
    """Its level over the median of the others; None where there is no other."""
    low: float | None
    """Interval; those of all devices of the model hold together with 99 %. None where no device
    has two cycles."""
    high: float | None
    stands_out: bool
    """True where the interval lies beyond the campaign's margin of equivalence."""


def device_differences(measurements: pd.DataFrame, *, margin: float) -> list[DeviceDifference]:
    """Return the differences of every device, by model and metric; empty where one was used.

    Args:
        measurements: as `measurements_table` makes it.
        margin: relative difference from which a device stands out.
    """
    found = []
    if len(measurements[["device_uuids", "host"]].drop_duplicates()) < 2:
        return []
    for metric in WATCHED:
        models: dict[str, dict[Block, list[float]]] = {}
        for block, deviation in _deviations(measurements, metric):
            models.setdefault(block[0], {}).setdefault(block, []).append(deviation)
        for model, blocks in sorted(models.items()):
            levels: dict[str, list[float]] = {}
            for block, deviations in blocks.items():
                levels.setdefault(block[1], []).append(fmean(deviations))
            if len(levels) > 1:
                found += [_difference(d, model, metric, levels, margin) for d in sorted(levels)]
    return found


def _deviations(measurements: pd.DataFrame, metric: Metric) -> Iterator[tuple[Block, float]]:
    """Yield (block, logarithm of a value over the geometric mean of its experiment)."""
    place = ("cycle", "session_id", "device_uuids", "host")
    columns = tuple(dict.fromkeys((*GROUP, *place, "load_mode", "saturation", metric.column)))
    for rows in records_by(measurements, GROUP, columns).values():
        known = [
            row
            for row in rows
            if watched(metric, row["load_mode"], row["saturation"])
            and (row[metric.column] or 0.0) > 0.0
        ]
        mean = fmean(math.log(row[metric.column]) for row in known) if known else 0.0
        for row in known:
            device = row["device_uuids"] or row["host"]
            block = row["device_model"], device, row["session_id"], row["cycle"]
            yield block, math.log(row[metric.column]) - mean


def _difference(
    device: str, model: str, metric: Metric, levels: Mapping[str, Sequence[float]], margin: float
) -> DeviceDifference:
    own = levels[device]
    rest = [each for other, each in levels.items() if other != device]
    change = fmean(own) - median(map(fmean, rest))
    cycles = sum(map(len, rest))
    degrees = len(own) + cycles - len(levels)
    half_width = None
    if degrees > 0:
        squares = math.fsum((v - fmean(each)) ** 2 for each in levels.values() for v in each)
        of_rest = (1.0 if len(rest) < 3 else MEDIAN_VARIANCE) / cycles
        error = math.sqrt(squares / degrees * (1 / len(own) + of_rest))
        confidence = 1.0 - (1.0 - FAMILY_CONFIDENCE) / len(levels)
        half_width = t_quantile(degrees, confidence) * error
    return DeviceDifference(
        device=device,
        device_model=model,
        metric=metric.column,
        cycles=len(own),
        others=len(levels) - 1,
        ratio=math.exp(change),
        low=None if half_width is None else math.exp(change - half_width),
        high=None if half_width is None else math.exp(change + half_width),
        stands_out=half_width is not None and abs(change) - half_width > math.log1p(margin),
    )
