"""Campaigns against the first of them: the ratio of each common experiment, with its interval."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from llm_energy.analysis.summary import Comparison
from llm_energy.report import style
from llm_energy.report.style import INK, MARKERS, MOST_ROWS, SERIES, Drawing
from llm_energy.results.metrics import JOULES_PER_OUTPUT_TOKEN, THROUGHPUT, TTFT, Metric
from llm_energy.system.numbers import number

DRAWN: Mapping[Metric, str] = {
    JOULES_PER_OUTPUT_TOKEN: "energy-ratios",
    THROUGHPUT: "throughput-ratios",
    TTFT: "first-token-ratios",
}
"""Metrics that have a figure, with the name of its files."""

FRAME_INCHES, ROW_INCHES, LINE_INCHES = 0.8, 0.16, 0.16
"""Axis and labels together; each experiment, and each campaign in it."""

LOGARITHMIC_FROM = 3.0
"""Ratios that differ by that factor get a logarithmic scale."""

TICKS = [digit * 10.0**power for power in range(-3, 4) for digit in (1, 2, 5)]


def ratio_drawings(
    comparisons: Sequence[Comparison], base: str, names: Mapping[str, str]
) -> list[Drawing]:
    """One drawing for each metric of `DRAWN` that was compared.

    Args:
        comparisons: each campaign (`level`) against the `base`, by experiment.
        base: the campaign that the others are compared with.
        names: experiment of a comparison -> its label.
    """
    by_metric = {m: [c for c in comparisons if c.metric == m.column] for m in DRAWN}
    return [_draw(metric, own, base, names) for metric, own in by_metric.items() if own]


def _draw(
    metric: Metric, comparisons: Sequence[Comparison], base: str, names: Mapping[str, str]
) -> Drawing:
    best_first = sorted(
        comparisons, key=lambda one: -one.ratio if metric.higher_is_better else one.ratio
    )
    labels = list(dict.fromkeys(names[one.experiment] for one in best_first))
    levels = list(dict.fromkeys(one.level or "" for one in comparisons))
    rows = {label: row for row, label in enumerate(labels[:MOST_ROWS])}
    shown = [one for one in comparisons if names[one.experiment] in rows]
    legend_inches = 0.25 if len(levels) > 1 else 0.0
    row_inches = ROW_INCHES + LINE_INCHES * len(levels)
    figure, axes = style.canvas(FRAME_INCHES + legend_inches + row_inches * len(rows))
    axes.axvline(1.0, color=INK, lw=0.9)
    for one in shown:
        place = levels.index(one.level or "")
        beside = (place - (len(levels) - 1) / 2) * LINE_INCHES / row_inches
        _line(axes, rows[names[one.experiment]] + beside, one, _look(place))
    _scale(axes, shown)
    style.label_rows(axes, list(rows))
    axes.set_xlabel(f"{metric.short_title}, ratio to {base}")
    if legend_inches:
        handles = [Line2D([], [], ls="", ms=4, **_look(place)) for place in range(len(levels))]
        style.legend_below(figure, min(3, len(levels)), handles, levels)
    better = "more" if metric.higher_is_better else "less"
    return Drawing(
        DRAWN[metric],
        f"{metric.title}, ratio to {base}",
        f"Ratio of geometric means over cycles to {base}, for each experiment that all have; "
        f"{better} is better. Lines: intervals that hold with 95 % for all of one metric at once; "
        "without a line there are too few cycles for one."
        + style.left_out(len(labels) - len(rows)),
        figure,
        _data(comparisons, base, names),
    )


def _look(place: int) -> dict[str, Any]:
    return {"color": SERIES[place % len(SERIES)], "marker": MARKERS[place % len(MARKERS)]}


def _line(axes: Axes, row: float, one: Comparison, look: Mapping[str, Any]) -> None:
    low, high = one.simultaneous_low, one.simultaneous_high
    half_width = None
    if low is not None and high is not None:
        axes.plot([low, high], [row, row], "-", color=look["color"], lw=1.6)
        half_width = (high - low) / 2
    axes.plot(one.ratio, row, ms=4, **look)
    style.value_beside(axes, row, f"{number(one.ratio, half_width)}×")


def _scale(axes: Axes, shown: Sequence[Comparison]) -> None:
    ends = [end for one in shown for end in (one.simultaneous_low, one.simultaneous_high) if end]
    ends += [1.0, *(one.ratio for one in shown)]
    axes.set_xmargin(0.08)
    if max(ends) / min(ends) < LOGARITHMIC_FROM:
        return
    axes.set_xscale("log")
    inside = [tick for tick in TICKS if min(ends) / 1.5 <= tick <= max(ends) * 1.5]
    style.exact_ticks(axes, inside)


def _data(comparisons: Sequence[Comparison], base: str, names: Mapping[str, str]) -> pd.DataFrame:
    kept = ("pairs", "ratio", "low", "high", "simultaneous_low", "simultaneous_high", "verdict")
    rows = [
        {"experiment": names[one.experiment], "campaign": one.level, "base": base}
        | {name: getattr(one, name) for name in kept}
        for one in comparisons
    ]
    return pd.DataFrame(rows)
