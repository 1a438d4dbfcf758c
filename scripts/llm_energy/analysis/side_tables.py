"""Tables for figures from the side files: the course of power, and distributions of latencies.

Side files stay as they were measured; these two tables are small enough for a page.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from math import floor, log10
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from llm_energy.analysis.experiments_table import group_of
from llm_energy.analysis.table_columns import Row
from llm_energy.measurement import open_requests
from llm_energy.power.meter import Device
from llm_energy.power.series import Samples, Series
from llm_energy.power.series_file import read_series
from llm_energy.results.result import Result
from llm_energy.results.side_files import read_requests
from llm_energy.system.vocabulary import OPEN

BINS_PER_DECADE = 100
"""Bins of latencies are 2.3 % wide, finer than a figure shows."""

MOST_POINTS, LEAST_POINTS = 240, 40
ALL_POINTS = 120_000
"""Stretches of time for which the course of power keeps its least and greatest value: so many for
one measurement, and about so many for a campaign, so that the page stays small. The series in
Parquet keeps every sample."""


class PowerRow(Row):
    """The course of power of one device in one measurement."""

    experiment: str
    spec_hash: str
    cycle: int
    device: str
    """Identifier of the metered device."""
    quantity: str
    """Quantity of the power series that was read."""
    start_s: float
    """Start of the first stretch, from the start of the window."""
    step_s: float
    """Length of a stretch."""
    least_watts: list[float]
    """Least power of each stretch."""
    greatest_watts: list[float]
    """Greatest power of each stretch."""
    phases: list[str]
    """Names of the phases of the measurement."""
    phase_starts_s: list[float]
    """Starts of the phases, from the start of the window."""
    phase_ends_s: list[float]
    """Ends of the phases, from the start of the window."""


class LatencyRow(Row):
    """One bin of the distribution of a latency in one experiment."""

    experiment: str
    spec_hash: str
    device_model: str
    power_limit_watts: float | None
    saturated: bool | None
    """As in the table of experiments."""
    latency: str
    """`time_to_first_token` or `inter_token_latency`."""
    low_s: float
    """Lower edge of the bin."""
    high_s: float
    """Upper edge of the bin."""
    count: int
    """Number of latencies in the bin, all cycles together."""


def power_table(folder: Path, results: Sequence[Result], gaps: Collection[str]) -> pd.DataFrame:
    """One row for each measurement and device that was metered.

    Args:
        folder: `results/{campaign}`.
        gaps: paths of side files that are absent or changed.
    """
    metered = [r for r in results if _usable(r, "series", gaps)]
    points = max(LEAST_POINTS, min(MOST_POINTS, ALL_POINTS // max(1, len(metered))))
    rows: list[PowerRow] = []
    for result in metered:
        series = read_series(folder / result.side_files["series"].path)
        for device in series.devices:
            rows += _course(result, series, device, points)
    return pd.DataFrame(map(dict, rows), columns=list(PowerRow.model_fields))


def latency_table(folder: Path, results: Sequence[Result], gaps: Collection[str]) -> pd.DataFrame:
    """Counts of each latency in the windows of an experiment, all cycles together.

    Only latencies wholly inside the window count, as for the percentiles of a result.
    """
    found: dict[tuple[Any, ...], Counter[int]] = {}
    for result in results:
        if result.window is None or not _usable(result, "requests", gaps):
            continue
        for latency, values in _latencies(folder, result).items():
            counts = found.setdefault((*group_of(result), latency), Counter())
            counts.update(floor(BINS_PER_DECADE * log10(value)) for value in values if value > 0)
    rows = [
        (*key, 10 ** (number / BINS_PER_DECADE), 10 ** ((number + 1) / BINS_PER_DECADE), count)
        for key, counts in found.items()
        for number, count in sorted(counts.items())
    ]
    return pd.DataFrame(rows, columns=list(LatencyRow.model_fields))


def usable_series(folder: Path, result: Result, *, gaps: Collection[str]) -> Series | None:
    """The power series of a result; None where it has none, or it is one of the `gaps`."""
    if not _usable(result, "series", gaps):
        return None
    return read_series(folder / result.side_files["series"].path)


def _usable(result: Result, kind: str, gaps: Collection[str]) -> bool:
    return kind in result.side_files and result.side_files[kind].path not in gaps


def _latencies(folder: Path, result: Result) -> Mapping[str, np.ndarray]:
    import pyarrow.parquet as pq

    assert result.window is not None
    if not result.streamed:
        return {}
    start, end = result.window.start_monotonic_s, result.window.end_monotonic_s
    if result.load_mode == OPEN:
        requests, _ = read_requests(folder / result.side_files["requests"].path)
        counted = open_requests.arrived(requests, (start, end))
        return {
            "time_to_first_token": np.asarray(open_requests.first_tokens(counted)),
            "inter_token_latency": np.asarray(open_requests.gaps(counted)),
        }
    columns = ["submitted_monotonic_s", "token_times_monotonic_s"]
    table = pq.read_table(folder / result.side_files["requests"].path, columns=columns)
    first, gaps = [], []
    for submitted, times in zip(*(table[name].to_pylist() for name in columns), strict=True):
        moments = np.asarray(times or (), dtype=float)
        if submitted >= start and len(moments) and moments[0] <= end:
            first.append(moments[0] - submitted)
        inside = moments[(moments >= start) & (moments <= end)]
        gaps.append(np.diff(inside))
    return {
        "time_to_first_token": np.asarray(first),
        "inter_token_latency": np.concatenate(gaps) if gaps else np.asarray(()),
    }


def _course(result: Result, series: Series, device: Device, points: int) -> Iterable[PowerRow]:
    quantity, power = _power(series, device)
    if len(power) < 2 or not result.phases:
        return
    zero = next((p.start_monotonic_s for p in result.phases if p.name == "window"), None)
    if zero is None:
        return
    times, values = np.asarray(power.times_s), np.asarray(power.values)
    count = min(points, max(1, len(times) // 2))
    step = (times[-1] - times[0]) / count
    place = np.minimum(((times - times[0]) / step).astype(int), count - 1)
    least, greatest = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(least, place, values)
    np.maximum.at(greatest, place, values)
    empty = ~np.isfinite(least)
    least[empty] = greatest[empty] = np.nan
    yield PowerRow(
        experiment=result.experiment,
        spec_hash=result.spec_hash,
        cycle=result.cycle,
        device=device.id,
        quantity=quantity,
        start_s=times[0] - zero,
        step_s=step,
        least_watts=least.tolist(),
        greatest_watts=greatest.tolist(),
        phases=[phase.name for phase in result.phases],
        phase_starts_s=[phase.start_monotonic_s - zero for phase in result.phases],
        phase_ends_s=[phase.end_monotonic_s - zero for phase in result.phases],
    )


def _power(series: Series, device: Device) -> tuple[str, Samples]:
    """Instant power where the device reports it, else another power, else its counter's
    differences (a wrapped counter's negative one is left out)."""
    for quantity in ("instant_power_watts", "usage_power_watts", "average_power_watts"):
        samples = series.samples(device, quantity)
        if len(samples):
            return quantity, samples
    counter = series.samples(device, "energy_counter_joules")
    times, values = np.asarray(counter.times_s), np.asarray(counter.values)
    if len(times) < 2:
        return "", Samples((), ())
    moved = np.flatnonzero(np.diff(values, prepend=-np.inf) != 0)  # where the sensor had updated
    times, values = times[moved], values[moved]
    watts = np.diff(values) / np.diff(times)
    kept = watts >= 0
    middles = (times[1:] + times[:-1]) / 2
    return "energy_counter_joules", Samples(tuple(middles[kept]), tuple(watts[kept]))
