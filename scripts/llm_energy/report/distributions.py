"""Distributions of the latencies of each experiment: one outline each, all cycles pooled."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from llm_energy.analysis.summary import Summary
from llm_energy.report import style
from llm_energy.report.estimates import estimates, place_columns, place_text, short_names
from llm_energy.report.style import INK, MOST_ROWS, SERIES, Drawing
from llm_energy.results.metrics import TTFT
from llm_energy.system.numbers import fixed

ROW_INCHES, FRAME_INCHES = 0.34, 0.9
MOST_BINS = 70
"""Bins across a panel; fewer where bins of the table are wider than that."""

TITLES = {
    "time_to_first_token": "Time to first token",
    "inter_token_latency": "Inter-token latency",
}
SHARES = (0.5, 0.95)


def latencies(summary: Summary) -> Drawing | None:
    """Outlines of both latencies, rows in the order of median time to first token."""
    table = summary.latencies
    if table.empty:
        return None
    table = table.assign(label=_labels(summary, table))
    ranked = [e.label for e in estimates(summary, TTFT) if e.label in set(table["label"])]
    labels = ranked[:MOST_ROWS]
    drawn = table[table["label"].isin(labels)]
    figure, panels = style.side_by_side(2, FRAME_INCHES + ROW_INCHES * len(labels))
    for axes, (latency, title) in zip(panels, TITLES.items(), strict=True):
        _draw_rows(axes, drawn[drawn["latency"] == latency], labels)
        axes.set_title(title)
    counts = drawn.groupby("latency")["count"].sum()
    return Drawing(
        "latency-distributions",
        "Distribution of latencies",
        f"How often each latency occurred in the windows of an experiment, all cycles together "
        f"({fixed(counts.get('time_to_first_token', 0), 0)} requests and "
        f"{fixed(counts.get('inter_token_latency', 0), 0)} gaps between tokens), on a logarithmic "
        "axis; each outline is as high as its most frequent value. Line: median; short line: "
        "95th percentile. Requests of one window are no independent repetitions: intervals come "
        f"from cycles alone.{style.left_out(len(ranked) - len(labels))}",
        figure,
        _data(drawn),
    )


def _labels(summary: Summary, table: pd.DataFrame) -> list[str]:
    names, places = short_names(summary), place_columns(summary)
    needed = table[["experiment", *places]].to_dict("records")
    return [
        ", ".join((names[row["experiment"]], *(place_text(row, name) for name in places)))
        for row in needed
    ]


def _data(table: pd.DataFrame) -> pd.DataFrame:
    data = table[["experiment", "label", "latency"]].copy()
    for name in ("low", "high"):
        data[f"{name}_ms"] = [f"{1e3 * value:.5g}" for value in table[f"{name}_s"]]
    return data.assign(count=table["count"])


def _draw_rows(axes: Axes, shown: pd.DataFrame, labels: Sequence[str]) -> None:
    style.label_rows(axes, labels)
    axes.set_ylim(len(labels) - 0.45, -1.0)
    axes.set_xlabel("ms")
    if shown.empty:
        return
    low, high = 1e3 * shown["low_s"].min(), 1e3 * shown["high_s"].max()
    # Edges of the table's own bins, several together, so that no bin is empty for its narrowness.
    step = (shown["high_s"] / shown["low_s"]).iloc[0]
    own = round(math.log(high / low) / math.log(step))
    together = max(1, math.ceil(own / MOST_BINS))
    edges = low * step ** (together * np.arange(math.ceil(own / together) + 1))
    for row, label in enumerate(labels):
        mine = shown[shown["label"] == label]
        if mine.empty:
            style.note_in_row(axes, row, "not defined for one token", INK)
            continue
        middles = 1e3 * np.sqrt((mine["low_s"] * mine["high_s"]).to_numpy())
        counts = mine["count"].to_numpy()
        heights, _ = np.histogram(middles, edges, weights=counts)
        axes.stairs(
            row - 0.8 * heights / heights.max(),
            edges,
            baseline=row,
            fill=True,
            color=SERIES[0],
            alpha=0.55,
            lw=0,
        )
        share = np.cumsum(counts) / counts.sum()
        for wanted, length in zip(SHARES, (0.8, 0.3), strict=True):
            at = middles[int(np.searchsorted(share, wanted))]
            axes.plot([at, at], [row, row - length], color=INK, lw=1)
    _decades(axes, low, high)


def _decades(axes: Axes, low: float, high: float) -> None:
    """A logarithmic axis with few plain numbers on it."""
    axes.set_xscale("log")
    axes.set_xlim(low / 1.05, high * 1.05)
    steps: tuple[float, ...] = (1, 2, 5) if high / low < 100 else (1,)
    if high / low < 5:
        steps = (1, 1.5, 2, 3, 4, 5, 6, 8)
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [s * 10.0**e for e in exponents for s in steps if low <= s * 10.0**e <= high]
    if len(ticks) < 2:
        ticks = [low, math.sqrt(low * high), high]
    style.exact_ticks(axes, [float(f"{tick:.3g}") for tick in ticks])
