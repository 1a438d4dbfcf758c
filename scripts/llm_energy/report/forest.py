"""Experiments as rows: the mean as a dot, its interval as a line, the cycles as ticks beneath."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from llm_energy.metrics import (
    ITL,
    ITL_P95,
    JOULES_PER_OUTPUT_TOKEN,
    THROUGHPUT,
    TTFT,
    TTFT_P95,
    Metric,
)
from llm_energy.report.estimates import Estimate, estimates, without_value
from llm_energy.report.numbers import decimals_for, fixed
from llm_energy.report.open_ends import open_end, open_ends
from llm_energy.report.style import INK, MUTED, SERIES, Drawing, canvas, grid_only
from llm_energy.summary import Summary

ROW_INCHES = 0.36
FRAME_INCHES = 0.95
"""Axis, labels and legend together."""

READING = (
    "Dots are means over cycles, lines their 95 % t intervals, grey ticks the single cycles; n is "
    "the number of cycles. One cycle gives a value and no interval."
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
    """Time to first token and inter-token latency side by side, rows in the order of the first."""
    first = estimates(summary, TTFT)
    if not first:
        return None
    missing = without_value(summary, TTFT)
    labels = [e.label for e in first]
    figure, (left, right) = canvas(_height(len(first) + len(missing)), 1, 2, sharey=True)
    by_label = {e.label: e for e in estimates(summary, ITL)}
    _rows(left, first, missing, SERIES[0])
    _rows(right, [by_label.get(label) for label in labels], missing, SERIES[0])
    for axes, metric, tail in ((left, TTFT, TTFT_P95), (right, ITL, ITL_P95)):
        tails = {e.label: e for e in estimates(summary, tail)}
        for row, label in enumerate(labels):
            if label in tails:
                axes.plot(tails[label].mean, row, "|", color=SERIES[1], ms=9, mew=1.6)
        axes.set_xlim(left=0)
        axes.set_title(metric.title.partition(",")[0])
        axes.set_xlabel(metric.display_unit)
    p95 = Line2D([], [], color=SERIES[1], marker="|", ms=9, mew=1.6, ls="")
    figure.legend(
        [*_handles(), p95],
        [*_HANDLE_LABELS, "95th percentile"],
        loc="outside lower center",
        ncols=4,
    )
    return Drawing(
        "latency",
        "Latency by experiment",
        "Median latency of the requests of a window, by experiment, and the mean over cycles of "
        f"its 95th percentile. {READING}{open_ends([*first, *by_label.values()])}",
        figure,
    )


def _one_metric(
    summary: Summary, metric: Metric, name: str, title: str, note: str = ""
) -> Drawing | None:
    rows = estimates(summary, metric)
    if not rows:
        return None
    missing = without_value(summary, metric)
    figure, axes = canvas(_height(len(rows) + len(missing)))
    _rows(axes, rows, missing, SERIES[0])
    axes.set_xlim(left=0)
    axes.set_xlabel(f"{metric.title} ({metric.display_unit})")
    figure.legend(_handles(), _HANDLE_LABELS, loc="outside lower center", ncols=3)
    return Drawing(name, title, f"{READING}{open_ends(rows)} {note}".strip(), figure)


def _rows(
    axes: Axes,
    rows: Sequence[Estimate | None],
    missing: Sequence[tuple[str, str]],
    colour: str,
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
        axes.plot(estimate.mean, row, "o", ms=3.6, color=colour)
        axes.plot(estimate.values, [row + 0.3] * estimate.n, "|", ms=4, mew=0.9, color=MUTED)
        axes.annotate(
            _told(estimate),
            (1.01, row),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=7.5,
            color=INK,
        )
    for row, (_, why) in enumerate(missing, start=len(rows)):
        _say(axes, row, why)
    labels = [e.label if e else "" for e in rows] + [label for label, _ in missing]
    if any(labels[: len(rows)]) and all(e is not None for e in rows):
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
