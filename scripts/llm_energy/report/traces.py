"""Courses over time: metrics and temperatures in run order, and the throughput of warm-ups."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pandas as pd

from llm_energy.analysis.courses_over_time import WarmupTrace
from llm_energy.analysis.summary import Summary
from llm_energy.report import style
from llm_energy.report.estimates import short_names
from llm_energy.report.style import INK, MARKERS, MOST_PANELS, MUTED, SERIES, Drawing
from llm_energy.results.metrics import JOULES_PER_OUTPUT_TOKEN, watched, watched_speed
from llm_energy.system.numbers import fixed, percent


def order(summary: Summary, *, energy: bool) -> Drawing | None:
    """Energy per output token, or speed, over the order of the run, relative to its experiment's
    mean."""
    measured = summary.measurements
    metric = JOULES_PER_OUTPUT_TOKEN if energy else watched_speed(measured["load_mode"])
    column = metric.column
    modes = zip(measured["load_mode"], measured["saturation"], strict=True)
    compared = [watched(metric, mode, saturation) for mode, saturation in modes]
    needed = ["experiment", "device_model", "cycle", "started", column]  # of many more columns
    ran = measured.loc[compared, needed].dropna(subset=[column]).sort_values("started")
    groups = ran.groupby(["experiment", "device_model"])[column]
    counts = groups.transform("size")
    if ran.empty or counts.max() < 2:
        return None
    rank = np.arange(1, len(ran) + 1)
    deviation = 100 * (ran[column] / groups.transform("mean") - 1)
    figure, axes = style.canvas(2.7)
    axes.axhline(0, color=MUTED, lw=0.8)
    cycles = ran["cycle"].to_numpy(dtype=int)
    for cycle in sorted(set(cycles)):
        inside = (cycles == cycle) & (counts > 1).to_numpy(dtype=bool)
        axes.plot(
            rank[inside],
            deviation.to_numpy(dtype=float)[inside],
            MARKERS[(cycle - 1) % len(MARKERS)],
            color=SERIES[(cycle - 1) % len(SERIES)],
            ms=4.5,
            label=f"cycle {cycle}",
        )
    drift = summary.findings.energy_drift if energy else summary.findings.drift
    word = "energy" if energy else metric.short_title.lower()
    trend = "Drift is not testable with these measurements."
    if drift is not None:
        line = np.log1p(drift.change) * (rank - rank.mean()) / max(1, len(ran) - 1)
        axes.plot(rank, 100 * np.expm1(line), color=INK, lw=1.2, ls=(0, (4, 3)))
        trend = (
            f"Dashed: the common drift, {percent(drift.change)} from the first to the last "
            f"measurement (95 % interval {fixed(100 * drift.low, 1)} to {percent(drift.high)}, "
            f"n = {drift.observations} measurements)."
        )
    style.whole_ticks(axes)
    axes.set_xlabel("measurement, in the order in which they ran")
    axes.set_ylabel(f"{word} against its\nexperiment’s mean (%)")
    style.grid_only(axes, "y")
    if len(set(cycles)) <= 2 * len(SERIES):
        style.legend_below(figure, 3 if style.narrow() else 6)
    return Drawing(
        "order-energy" if energy else "order",
        f"{metric.title} over the order of the run",
        f"Each measurement’s {metric.title.lower()} against the mean of its experiment, in the "
        f"order in which they ran. {trend}",
        figure,
        pd.DataFrame(
            {
                "run_order": rank,
                "experiment": ran["experiment"].to_numpy(),
                "cycle": cycles,
                "started": ran["started"].to_numpy(),
                column: ran[column].to_numpy(),
                "deviation_percent": deviation.to_numpy(),
            }
        ),
    )


def temperature(summary: Summary) -> Drawing | None:
    """Temperature and clock of the devices over the order of the run; None where none is known."""
    columns = {
        "temperature_max_celsius": "greatest temperature (°C)",
        "sm_clock_mean_mhz": "mean SM clock (MHz)",
    }
    ran = summary.measurements.sort_values("started")
    rank = np.arange(1, len(ran) + 1)
    known = {name: label for name, label in columns.items() if ran[name].notna().any()}
    if not known:
        return None
    figure, axes = style.canvas(0.5 + 1.7 * len(known), len(known), 1, sharex=True, squeeze=False)
    for panel, (name, label) in zip(axes.flat, known.items(), strict=True):
        panel.plot(rank, ran[name].astype(float), "o", color=SERIES[0], ms=3.5)
        panel.set_ylabel(label)
        style.whole_ticks(panel)
        style.grid_only(panel, "y")
    axes.flat[-1].set_xlabel("measurement, in the order in which they ran")
    data = ran[["experiment", "cycle", "started", *known, "throttle_reasons"]]
    return Drawing(
        "temperature",
        "Temperature and clocks over the order of the run",
        "In the window of each measurement: the hottest metered device, and the mean clock of "
        "all. A trend here is a cause of drift elsewhere.",
        figure,
        data.assign(run_order=rank),
    )


def warmup(summary: Summary) -> Drawing | None:
    """Throughput of each warm-up wave against that of the window which followed.

    Experiments with the most warm-ups that did not become steady come first.
    """
    traces = summary.findings.warmups
    if not traces:
        return None
    by_experiment: dict[str, list[WarmupTrace]] = defaultdict(list)
    for trace in traces:
        by_experiment[trace.experiment].append(trace)
    ranked = sorted(
        by_experiment, key=lambda name: (-sum(t.capped for t in by_experiment[name]), name)
    )
    names = ranked[:MOST_PANELS]
    short = short_names(summary)
    figure, axes = style.panels([short[name] for name in names], head_inches=0.7, row_inches=1.35)
    span = _span(traces)
    for panel, name in zip(axes, names, strict=True):
        panel.axhline(100, color=MUTED, lw=0.8)
        for trace in by_experiment[name]:
            panel.plot(
                range(1, len(trace.throughput_relative) + 1),
                [100 * value for value in trace.throughput_relative],
                color=SERIES[1] if trace.capped else SERIES[0],
                ls="--" if trace.capped else "-",
                lw=1.1,
                marker="o",
                ms=2.2,
                zorder=3 if trace.capped else 2,
            )
        panel.set_ylim(*span)
        style.whole_ticks(panel)
    figure.supxlabel("warm-up wave", fontsize=8.5)
    figure.supylabel("throughput (% of the window)", fontsize=8.5)
    capped = sum(trace.capped for trace in traces)
    return Drawing(
        "warm-up",
        "Warm-up",
        "Throughput of each warm-up wave, in percent of the throughput of the window that "
        "followed; one line for each cycle."
        + " Solid: ended by its bound." * (capped < len(traces))
        + f" Dashed: ended at the time limit ({capped} of {len(traces)})." * (capped > 0)
        + style.left_out(len(ranked) - len(names), "steadier experiment"),
        figure,
        pd.DataFrame(
            [
                (trace.experiment, trace.cycle, not trace.capped, wave, value)
                for trace in traces
                for wave, value in enumerate(trace.throughput_relative, start=1)
            ],
            columns=["experiment", "cycle", "steady", "warmup_wave", "throughput_relative"],
        ),
    )


def _span(traces: Sequence[WarmupTrace]) -> tuple[float, float]:
    """Limits of the axis in percent, never so narrow that noise looks large."""
    seen = [100 * value for trace in traces for value in trace.throughput_relative]
    return min(90.0, 0.95 * min(seen)), max(110.0, 1.05 * max(seen))
