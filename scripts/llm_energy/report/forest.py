"""Experiments as ranked bars: the mean, its interval as a line, the cycles as ticks beneath."""

import math
from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from llm_energy.analysis.summary import Summary
from llm_energy.report import style
from llm_energy.report.estimates import (
    REPEATABILITY_ALONE,
    Estimate,
    as_data,
    below_zero_sentence,
    estimates,
    without_value,
)
from llm_energy.report.style import MOST_ROWS, MUTED, SERIES, Drawing
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

READING = (
    "Bars and dots are means over cycles, lines their 95 % t intervals, grey ticks the single "
    "cycles; n is the number of cycles. One cycle gives a value and no interval."
)

Gaps = Sequence[tuple[str, str]]
"""(label, reason) of experiments without a value."""


def throughput(summary: Summary) -> Drawing | None:
    """Output tokens per second of every experiment, best first."""
    return _one_metric(summary, THROUGHPUT, "throughput")


def energy(summary: Summary) -> Drawing | None:
    """Joules per output token; None where no energy was measured."""
    return _one_metric(
        summary, JOULES_PER_OUTPUT_TOKEN, "energy-per-output-token", REPEATABILITY_ALONE
    )


def latency(summary: Summary) -> Drawing | None:
    """Time to first token and inter-token latency, rows in the order of the first."""
    first = estimates(summary, TTFT)
    if not first:
        return None
    shown, missing, not_drawn = _fitting(first, without_value(summary, TTFT))
    row_inches = FRAME_INCHES + ROW_INCHES * (len(shown) + len(missing))
    figure, panels = style.side_by_side(2, row_inches - 0.5, 0.5)
    by_label = {e.label: e for e in estimates(summary, ITL)}
    gaps = [by_label.get(e.label) for e in shown]
    drawn = list(shown)
    for axes, rows, metric, tail in (
        (panels[0], shown, TTFT, TTFT_P95),
        (panels[1], gaps, ITL, ITL_P95),
    ):
        _draw_rows(axes, rows, missing, [e.label for e in shown])
        tails = {e.label: e for e in estimates(summary, tail)}
        for row, label in enumerate(e.label for e in shown):
            if label in tails:
                axes.plot(tails[label].mean, row, "|", color=SERIES[1], ms=9, mew=1.6)
                drawn.append(tails[label])
        axes.set_xlim(left=0)
        axes.set_title(metric.short_title)
        axes.set_xlabel(metric.display_unit)
    p95 = Line2D([], [], color=SERIES[1], marker="|", ms=9, mew=1.6, ls="")
    handles, labels = _legend_entries()
    style.legend_below(
        figure, 2 if style.narrow() else 4, [*handles, p95], [*labels, "95th percentile"]
    )
    open_ends = below_zero_sentence([*shown, *by_label.values()])
    return Drawing(
        "latency",
        "Latency by experiment",
        "Median latency of the requests of a window, by experiment, and the mean over cycles of "
        f"its 95th percentile. {READING}{open_ends}{not_drawn}",
        figure,
        as_data([*drawn, *filter(None, gaps)]),
    )


def _one_metric(summary: Summary, metric: Metric, name: str, note: str = "") -> Drawing | None:
    found = estimates(summary, metric)
    if not found:
        return None
    rows, missing, not_drawn = _fitting(found, without_value(summary, metric))
    figure, axes = style.canvas(FRAME_INCHES + ROW_INCHES * (len(rows) + len(missing)))
    _draw_rows(axes, rows, missing, [e.label for e in rows])
    axes.set_xlim(left=0)
    axes.set_xlabel(f"{metric.title} ({metric.display_unit})")
    style.legend_below(figure, 3, *_legend_entries())
    caption = f"{READING}{below_zero_sentence(rows)}{note}{not_drawn}"
    data = as_data(rows)
    if missing:
        data = pd.concat([data, pd.DataFrame(missing, columns=["label", "why_no_value"])])
    return Drawing(name, f"{metric.title} by experiment", caption, figure, data)


def _fitting(rows: Sequence[Estimate], missing: Gaps) -> tuple[Sequence[Estimate], Gaps, str]:
    """As many rows as a figure takes, and the sentence about the others."""
    shown = rows[:MOST_ROWS]
    gaps = missing[: MOST_ROWS - len(shown)]
    return shown, gaps, style.left_out(len(rows) + len(missing) - len(shown) - len(gaps))


def _draw_rows(
    axes: Axes, rows: Sequence[Estimate | None], missing: Gaps, names: Sequence[str]
) -> None:
    """One row each from the top; a row without a value says why."""
    known = [(row, estimate) for row, estimate in enumerate(rows) if estimate is not None]
    if known:
        _draw_marks(axes, known)
    for row, estimate in enumerate(rows):
        if estimate is None:
            style.note_in_row(axes, row, "not defined for one token")
            continue
        if estimate.reaches_below_zero:
            style.open_end(axes, (0, row), "<", SERIES[0])
        style.value_beside(axes, row, _value_text(estimate))
    for row, (_, why) in enumerate(missing, start=len(rows)):
        style.note_in_row(axes, row, why)
    style.label_rows(axes, [*names, *(label for label, _ in missing)])
    axes.set_xmargin(0.08)


def _draw_marks(axes: Axes, known: Sequence[tuple[int, Estimate]]) -> None:
    """Draw intervals, bars, means and cycles: one line for all of a kind, whatever their number."""
    colour, means, rows = SERIES[0], [e.mean for _, e in known], [row for row, _ in known]
    ends = [(row, e.low, e.high) for row, e in known if e.low is not None and e.high is not None]
    if ends:
        across = [x for _, low, high in ends for x in (low, high, math.nan)]
        at = [row for row, *_ in ends for _ in range(3)]
        axes.plot(across, at, "|-", color=colour, lw=1.8, ms=7, mew=1.2)
    axes.barh(rows, means, height=0.5, color=colour, alpha=0.22, lw=0)
    axes.plot(means, rows, "o", ms=3.6, color=colour)
    cycles = [(value, row + 0.3) for row, estimate in known for value in estimate.values]
    axes.plot(*zip(*cycles, strict=True), "|", ms=4, mew=0.9, color=MUTED)


def _value_text(estimate: Estimate) -> str:
    decimals = decimals_for(estimate.mean, estimate.half_width)
    spread = "" if estimate.half_width is None else f" ± {fixed(estimate.half_width, decimals)}"
    lost = f", {estimate.out_of_memory} out of memory" if estimate.out_of_memory else ""
    return f"{fixed(estimate.mean, decimals)}{spread}\nn = {estimate.n}{lost}"


def _legend_entries() -> tuple[list[Line2D], list[str]]:
    handles = [
        Line2D([], [], color=SERIES[0], marker="o", ms=3.6, ls=""),
        Line2D([], [], color=SERIES[0], lw=1.8),
        Line2D([], [], color=MUTED, marker="|", ms=4, mew=0.9, ls=""),
    ]
    return handles, ["mean", "95 % t interval", "single cycle"]
