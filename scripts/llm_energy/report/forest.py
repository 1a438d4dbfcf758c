"""Experiments as ranked bars: the mean, its interval as a line, the cycles as ticks beneath."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from llm_energy.analysis.summary import Summary
from llm_energy.report.estimates import Estimate, as_data, estimates, without_value
from llm_energy.report.open_ends import open_end, open_ends
from llm_energy.report.style import MUTED, SERIES, Drawing, canvas, grid_only, narrow, value_beside
from llm_energy.results.metrics import (
    ITL,
    ITL_P95,
    JOULES_PER_OUTPUT_TOKEN,
    THROUGHPUT,
    TTFT,
    TTFT_P95,
    Metric,
)
from llm_energy.system.numbers import decimals_for, fixed

ROW_INCHES = 0.36
FRAME_INCHES = 0.95
"""Axis, labels and legend together."""

MOST_ROWS = 30
"""Beyond it a figure is no longer taken in: the first ones of the ranking are drawn, and the
caption says how many are not. The tables hold all of them."""

READING = (
    "Bars and dots are means over cycles, lines their 95 % t intervals, grey ticks the single "
    "cycles; n is the number of cycles. One cycle gives a value and no interval."
)


def throughput(summary: Summary) -> Drawing | None:
    """Output tokens per second of every experiment, best first."""
    return _one_metric(summary, THROUGHPUT, "throughput", "Throughput by experiment")


def energy(summary: Summary) -> Drawing | None:
    """Joules per output token; None where no energy was measured."""
    return _one_metric(
        summary,
        JOULES_PER_OUTPUT_TOKEN,
        "energy-per-output-token",
        "Energy per output token by experiment",
        note="Intervals show repeatability over cycles, not the gain of the power sensor.",
    )


def latency(summary: Summary) -> Drawing | None:
    """Time to first token and inter-token latency, rows in the order of the first."""
    first = estimates(summary, TTFT)
    if not first:
        return None
    shown, missing, left_out = _fitting(first, without_value(summary, TTFT))
    labels = [e.label for e in shown]
    height = _height(len(shown) + len(missing))
    grid = (2, 1) if narrow() else (1, 2)
    share = {"sharex": False, "sharey": not narrow()}
    figure, panels = canvas(height * grid[0] - 0.5 * (grid[0] - 1), *grid, **share)
    by_label = {e.label: e for e in estimates(summary, ITL)}
    gaps = [by_label.get(label) for label in labels]
    drawn = list(shown)
    for axes, rows, metric, tail in (
        (panels[0], list(shown), TTFT, TTFT_P95),
        (panels[1], gaps, ITL, ITL_P95),
    ):
        _rows(axes, rows, missing, SERIES[0], labels)
        tails = {e.label: e for e in estimates(summary, tail)}
        for row, label in enumerate(labels):
            if label in tails:
                axes.plot(tails[label].mean, row, "|", color=SERIES[1], ms=9, mew=1.6)
                drawn.append(tails[label])
        axes.set_xlim(left=0)
        axes.set_title(metric.title.partition(",")[0])
        axes.set_xlabel(metric.display_unit)
    p95 = Line2D([], [], color=SERIES[1], marker="|", ms=9, mew=1.6, ls="")
    figure.legend(
        [*_handles(), p95],
        [*_HANDLE_LABELS, "95th percentile"],
        loc="outside lower center",
        ncols=2 if narrow() else 4,
    )
    return Drawing(
        "latency",
        "Latency by experiment",
        "Median latency of the requests of a window, by experiment, and the mean over cycles of "
        f"its 95th percentile. {READING}{open_ends([*shown, *by_label.values()])}{left_out}",
        figure,
        as_data([*drawn, *filter(None, gaps)]),
    )


def _one_metric(
    summary: Summary, metric: Metric, name: str, title: str, note: str = ""
) -> Drawing | None:
    found = estimates(summary, metric)
    if not found:
        return None
    rows, missing, left_out = _fitting(found, without_value(summary, metric))
    figure, axes = canvas(_height(len(rows) + len(missing)))
    _rows(axes, rows, missing, SERIES[0], [e.label for e in rows])
    axes.set_xlim(left=0)
    axes.set_xlabel(f"{metric.title} ({metric.display_unit})")
    figure.legend(_handles(), _HANDLE_LABELS, loc="outside lower center", ncols=3)
    caption = f"{READING}{open_ends(rows)} {note}".strip() + left_out
    return Drawing(name, title, caption, figure, _data(rows, missing))


def _fitting(
    rows: Sequence[Estimate], missing: Sequence[tuple[str, str]]
) -> tuple[Sequence[Estimate], Sequence[tuple[str, str]], str]:
    """As many rows as a figure takes, and the sentence about those left out."""
    shown = rows[:MOST_ROWS]
    told = missing[: MOST_ROWS - len(shown)]
    left_out = len(rows) + len(missing) - len(shown) - len(told)
    sentence = f" {left_out} more experiments are left out; the tables have all." * bool(left_out)
    return shown, told, sentence


def _data(rows: Sequence[Estimate], missing: Sequence[tuple[str, str]]) -> pd.DataFrame:
    gaps = pd.DataFrame(missing, columns=["label", "why_no_value"])
    return pd.concat([as_data(rows), gaps]) if missing else as_data(rows)


def _rows(
    axes: Axes,
    rows: Sequence[Estimate | None],
    missing: Sequence[tuple[str, str]],
    colour: str,
    names: Sequence[str],
) -> None:
    """One row each from the top; what has no value says why in its place."""
    for row, estimate in enumerate(rows):
        if estimate is None:
            _say(axes, row, "not defined for one token")
            continue
        if estimate.low is not None and estimate.high is not None:
            ends = [estimate.low, estimate.high]
            axes.plot(ends, [row, row], "|-", color=colour, lw=1.8, ms=7, mew=1.2)
        if estimate.reaches_below_zero:
            open_end(axes, (0, row), "<", colour)
        axes.barh(row, estimate.mean, height=0.5, color=colour, alpha=0.22, lw=0)
        axes.plot(estimate.mean, row, "o", ms=3.6, color=colour)
        axes.plot(estimate.values, [row + 0.3] * estimate.n, "|", ms=4, mew=0.9, color=MUTED)
        value_beside(axes, row, _told(estimate))
    for row, (_, why) in enumerate(missing, start=len(rows)):
        _say(axes, row, why)
    labels = [*names, *(label for label, _ in missing)]
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_xmargin(0.08)
    grid_only(axes, "x")


def _say(axes: Axes, row: int, text: str) -> None:
    axes.annotate(
        text,
        (0.01, row),
        xycoords=("axes fraction", "data"),
        va="center",
        fontsize=7.5,
        color=MUTED,
        style="italic",
    )


def _told(estimate: Estimate) -> str:
    decimals = decimals_for(estimate.mean, estimate.half_width)
    spread = "" if estimate.half_width is None else f" ± {fixed(estimate.half_width, decimals)}"
    lost = f", {estimate.out_of_memory} out of memory" if estimate.out_of_memory else ""
    return f"{fixed(estimate.mean, decimals)}{spread}\nn = {estimate.n}{lost}"


_HANDLE_LABELS = ("mean", "95 % t interval", "single cycle")


def _handles() -> list[Line2D]:
    return [
        Line2D([], [], color=SERIES[0], marker="o", ms=3.6, ls=""),
        Line2D([], [], color=SERIES[0], lw=1.8),
        Line2D([], [], color=MUTED, marker="|", ms=4, mew=0.9, ls=""),
    ]


def _height(rows: int) -> float:
    return FRAME_INCHES + ROW_INCHES * rows
