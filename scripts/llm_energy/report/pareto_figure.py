"""The trade-off: what a token costs against latency, with the paired verdict on dominance."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from llm_energy.analysis.summary import Front, FrontPoint, Summary
from llm_energy.report import style
from llm_energy.report.estimates import (
    REPEATABILITY_ALONE,
    Estimate,
    as_data,
    below_zero_sentence,
    by_label,
    estimates,
)
from llm_energy.report.labels import MOST_NAMES, MOST_NUMBERS, write_labels
from llm_energy.report.straight_lines import straight_lines
from llm_energy.report.style import MUTED, SERIES, Drawing
from llm_energy.results.metrics import METRICS, Metric

MOST_PANELS = 2

SAMPLES = 9
"""Places along an interval that labels leave free."""

Point = tuple[Estimate, Estimate, str]
"""One experiment on the horizontal and on the vertical axis, and the verdict on it."""

BY_COLUMN = {metric.column: metric for metric in METRICS}

KINDS = {
    "non_dominated": ("o", SERIES[0], "Blue circles: not dominated."),
    "undecided": (
        "s",
        SERIES[1],
        "Orange squares: not decided, as another is not distinguishable from it in one of the two "
        "or both.",
    ),
    "dominated": ("D", MUTED, "Grey diamonds: dominated, as another is better in both."),
}
"""Verdict -> marker, colour, sentence of the caption."""


def trade_off(summary: Summary) -> Drawing | None:
    """Energy, or throughput where none was measured, against latencies, else throughput; without
    both, one latency against the other.

    Of several sets of terms for the same metrics the one with most experiments is drawn.
    """
    fronts: dict[str, Front] = {}
    for front in summary.findings.fronts:
        if front.metric not in fronts or len(front.points) > len(fronts[front.metric].points):
            fronts[front.metric] = front
    by_kind = sorted(fronts.values(), key=lambda front: BY_COLUMN[front.metric].kind != "latency")
    shown = by_kind[:MOST_PANELS]
    if not shown:
        return None
    upright = BY_COLUMN[shown[0].against]
    ranks = {label: rank for rank, label in enumerate(by_label(summary, [upright])[0], start=1)}
    figure, axes = style.canvas(0.4 + 2.7 * len(shown), len(shown), 1, squeeze=False)
    drawn: list[Point] = []
    data = []
    for panel, front in zip(axes.flat, shown, strict=True):
        points = _points(summary, front)
        _draw(panel, points, ranks)
        panel.set_xlabel(_axis(BY_COLUMN[front.metric]))
        panel.set_ylabel(_axis(upright))
        data.append(_data(points))
        drawn += points
    apart = len(summary.findings.fronts) > len(fronts)
    titles = " and ".join(BY_COLUMN[f.metric].short_title.lower() for f in shown)
    return Drawing(
        "trade-off",
        f"{upright.title} against {titles}",
        _caption(upright, drawn, len(ranks))
        + " Experiments measured under other terms are not drawn." * apart,
        figure,
        pd.concat(data),
    )


def _caption(upright: Metric, drawn: Sequence[Point], ranks: int) -> str:
    """Describe what the figure has, and nothing else."""
    kinds = [sentence for kind, (*_, sentence) in KINDS.items() if kind in {p[2] for p in drawn}]
    both = [e for x, y, _ in drawn for e in (x, y)]
    intervals = any(e.low is not None for e in both)
    better = "above" if upright.higher_is_better else "below"
    last = f", up to {MOST_NUMBERS}" if ranks > MOST_NUMBERS else ""
    parts = [
        "One point for each experiment, mean over cycles"
        + (", with 95 % t intervals." if intervals else "; one cycle has no interval."),
        *kinds,
        "Decided by 95 % intervals of ratios paired by cycle, not adjusted." * intervals,
        f"Better is left and {better}.",
        f"Numbers count from the best {upright.short_title.lower()}{last}." * (ranks > MOST_NAMES),
    ]
    text = " ".join(filter(None, parts))
    note = REPEATABILITY_ALONE * (upright.sensor is not None and intervals)
    return f"{text}{note}{below_zero_sentence(both)}"


def _points(summary: Summary, front: Front) -> list[Point]:
    x, y = (
        {(e.experiment, e.device_model, e.power_limit_watts): e for e in estimates(summary, metric)}
        for metric in (BY_COLUMN[front.metric], BY_COLUMN[front.against])
    )
    return [
        (x[key], y[key], verdict(point))
        for point in front.points
        for key in [(point.experiment, point.device_model, point.power_limit_watts)]
        if key in x and key in y
    ]


def verdict(point: FrontPoint) -> str:
    """A key of `KINDS`: only what paired intervals show counts as shown."""
    return point.status if point.certain else "undecided"


def _draw(axes: Axes, points: Sequence[Point], ranks: dict[str, int]) -> None:
    for kind, (marker, colour, _) in KINDS.items():  # one artist for all of a kind
        own = [(x, y) for x, y, status in points if status == kind]
        if not own:  # an empty artist that is not clipped has no extent to lay out
            continue
        for upright, ends in ((False, own), (True, [(y, x) for x, y in own])):
            lines = [
                (beside.mean, max(0, e.low), e.high)
                for e, beside in ends
                if e.low is not None and e.high is not None
            ]
            if lines:
                straight_lines(axes, lines, upright=upright, colour=colour, width=1.3)
        for x, y in own:
            if x.reaches_below_zero:
                style.open_end(axes, (0, y.mean), "<", colour)
            if y.reaches_below_zero:
                style.open_end(axes, (x.mean, 0), "v", colour)
        means = ([x.mean for x, _ in own], [y.mean for _, y in own])
        axes.plot(*means, marker, color=colour, ms=4.5, clip_on=False)
    axes.margins(0.12)
    axes.set_ylim(bottom=0)
    axes.set_xlim(left=0)
    axes.grid(visible=False)  # a label would have lines through it
    axes.spines["left"].set_visible(True)
    places = [(x.mean, y.mean) for x, y, _ in points]
    across = _along([(x, y.mean) for x, y, _ in points])
    up = _along([(y, x.mean) for x, y, _ in points])[:, ::-1]
    write_labels(axes, places, [x.label for x, _, _ in points], ranks, np.vstack([across, up]))


def _along(estimates: Sequence[tuple[Estimate, float]]) -> np.ndarray:
    """(value along the interval of an estimate, what is beside it), for those that have one."""
    known = [(e.low, e.high, beside) for e, beside in estimates if e.low is not None]
    low, high, beside = np.asarray(known, dtype=float).reshape(-1, 3).T
    values = np.linspace(low, high, SAMPLES)
    return np.column_stack([values.ravel(), np.tile(beside, SAMPLES)])


def _axis(metric: Metric) -> str:
    return f"{metric.short_title} ({metric.display_unit})"


def _data(points: Sequence[Point]) -> pd.DataFrame:
    data = as_data([e for x, y, _ in points for e in (x, y)])
    data["pareto"] = [status for _, _, status in points for _ in range(2)]
    return data
