"""What happened over time: the order of the run, and how each warm-up became steady."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pandas as pd

from llm_energy.analysis.summary import Summary, WarmupTrace
from llm_energy.report.estimates import short_names
from llm_energy.report.style import (
    INK,
    MARKERS,
    MUTED,
    SERIES,
    Drawing,
    canvas,
    grid_only,
    narrow,
    panels,
)
from llm_energy.results.metrics import Metric
from llm_energy.system.numbers import fixed, percent

MOST_PANELS = 12
"""Experiments whose warm-up is drawn: those with the least steady ones come first."""


def order(summary: Summary, metric: Metric) -> Drawing | None:
    """A metric over the order of the run, relative to its experiment's mean."""
    column = metric.column
    ran = summary.measurements.dropna(subset=[column]).sort_values("started")
    groups = ran.groupby(["experiment", "device_model"])[column]
    counts = groups.transform("size")
    if ran.empty or counts.max() < 2:
        return None
    rank = np.arange(1, len(ran) + 1)
    deviation = 100 * (ran[column] / groups.transform("mean") - 1)
    figure, axes = canvas(2.7)
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
    energy = metric.kind == "energy"
    drift = summary.findings.energy_drift if energy else summary.findings.drift
    word = metric.title.lower().partition(" ")[0]
    told = "Drift is not testable with these measurements."
    if drift is not None:
        line = np.log1p(drift.change) * (rank - rank.mean()) / max(1, len(ran) - 1)
        axes.plot(rank, 100 * np.expm1(line), color=INK, lw=1.2, ls=(0, (4, 3)))
        told = (
            f"Dashed: the common drift, {percent(drift.change)} from the first to the last "
            f"measurement (95 % interval {fixed(100 * drift.low, 1)} to {percent(drift.high)}, "
            f"n = {drift.observations} measurements)."
        )
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel("measurement, in the order in which they ran")
    axes.set_ylabel(f"{word} against its\nexperiment’s mean (%)")
    grid_only(axes, "y")
    if len(set(cycles)) <= 2 * len(SERIES):
        figure.legend(loc="outside lower center", ncols=3 if narrow() else 6)
    return Drawing(
        "order-energy" if energy else "order",
        f"{metric.title} over the order of the run",
        f"Each measurement’s {metric.title.lower()} against the mean of its experiment, in the "
        f"order in which they ran. {told}",
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
    known = {name: words for name, words in columns.items() if ran[name].notna().any()}
    if not known:
        return None
    figure, axes = canvas(0.5 + 1.7 * len(known), len(known), 1, sharex=True, squeeze=False)
    for panel, (name, words) in zip(axes.flat, known.items(), strict=True):
        panel.plot(rank, ran[name].astype(float), "o", color=SERIES[0], ms=3.5)
        panel.set_ylabel(words)
        panel.xaxis.get_major_locator().set_params(integer=True)
        grid_only(panel, "y")
    axes.flat[-1].set_xlabel("measurement, in the order in which they ran")
    data = ran[["experiment", "cycle", "started", *known, "throttle_reasons"]]
    return Drawing(
        "temperature",
        "Temperature and clocks over the order of the run",
        "Of the window of each measurement: the hottest metered device, and the mean clock of "
        "all. A trend here is a cause of drift elsewhere.",
        figure,
        data.assign(run_order=rank),
    )


def warmup(summary: Summary) -> Drawing | None:
    """Throughput of each warm-up wave against that of the window which followed."""
    by_experiment: dict[str, list[WarmupTrace]] = defaultdict(list)
    for trace in summary.findings.warmups:
        by_experiment[trace.experiment].append(trace)
    if not by_experiment:
        return None
    ranked = sorted(
        by_experiment, key=lambda name: (-sum(t.capped for t in by_experiment[name]), name)
    )
    names = ranked[:MOST_PANELS]
    short = short_names(summary)
    figure, axes = panels(len(names), head_inches=0.7, row_inches=1.35)
    for panel, name in zip(axes, names, strict=True):
        panel.axhline(100, color=MUTED, lw=0.8)
        for trace in by_experiment[name]:
            waves = range(1, len(trace.throughput_relative) + 1)
            panel.plot(
                waves,
                [100 * value for value in trace.throughput_relative],
                color=SERIES[1] if trace.capped else SERIES[0],
                ls="--" if trace.capped else "-",
                lw=1.1,
                marker="o",
                ms=2.2,
                zorder=3 if trace.capped else 2,
            )
        panel.set_title(short[name], fontsize=8, fontweight="normal")
        panel.set_ylim(*_span(summary.findings.warmups))
        panel.xaxis.get_major_locator().set_params(integer=True)
        grid_only(panel, "y")
    figure.supxlabel("warm-up wave", fontsize=8.5)
    figure.supylabel("throughput (% of the window)", fontsize=8.5)
    capped = sum(trace.capped for traces in by_experiment.values() for trace in traces)
    left_out = len(by_experiment) - len(names)
    return Drawing(
        "warm-up",
        "Warm-up",
        "Throughput of each warm-up wave, in percent of the throughput of the window that "
        "followed; one line for each cycle. Solid: steady before the window opened. Dashed: "
        f"stopped at the time limit ({capped} of {len(summary.findings.warmups)})."
        + (f" {left_out} experiments with steadier warm-ups are left out." if left_out else ""),
        figure,
        pd.DataFrame(
            [
                {
                    "experiment": trace.experiment,
                    "cycle": trace.cycle,
                    "steady": not trace.capped,
                    "warmup_wave": wave,
                    "throughput_relative": value,
                }
                for trace in summary.findings.warmups
                for wave, value in enumerate(trace.throughput_relative, start=1)
            ]
        ),
    )


def _span(traces: Sequence[WarmupTrace]) -> tuple[float, float]:
    """Limits of the axis in percent: what was seen, and never so little that noise looks large."""
    seen = [100 * value for trace in traces for value in trace.throughput_relative]
    return min(90.0, 0.95 * min(seen)), max(110.0, 1.05 * max(seen))
