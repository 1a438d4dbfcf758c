"""The trade-off: the cost of an experiment against its gain, with the Pareto front."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes

from llm_energy.analysis.summary import Front, Summary
from llm_energy.report import style
from llm_energy.report.estimates import REPEATABILITY_ALONE, Estimate, as_data, estimates
from llm_energy.report.style import INK, MUTED, SERIES, Drawing
from llm_energy.results.metrics import METRICS, Metric

MOST_LABELS = 8
"""Points of the front that are named in the figure; its data names all."""

MOST_PANELS = 2

Point = tuple[Estimate, Estimate, str]
"""One experiment on the horizontal and on the vertical axis, and its status on the front."""

BY_COLUMN = {metric.column: metric for metric in METRICS}


def trade_off(summary: Summary) -> Drawing | None:
    """Energy against throughput and latency; without energy, throughput against latencies.

    Of several sets of terms for the same metrics the one with most experiments is drawn.
    """
    fronts: dict[str, Front] = {}
    for front in summary.findings.fronts:
        if front.metric not in fronts or len(front.points) > len(fronts[front.metric].points):
            fronts[front.metric] = front
    shown = list(fronts.values())[:MOST_PANELS]
    if not shown:
        return None
    upright = BY_COLUMN[shown[0].against]
    figure, axes = style.side_by_side(len(shown), 2.6, 0.4)
    data = []
    for panel, front in zip(axes, shown, strict=True):
        points = _points(summary, front)
        _draw(panel, points)
        panel.set_xlabel(_axis(BY_COLUMN[front.metric]))
        if panel is axes[0] or style.narrow():
            panel.set_ylabel(_axis(upright))
        data.append(_data(points))
    apart = len(summary.findings.fronts) > len(fronts)
    titles = " and ".join(BY_COLUMN[f.metric].short_title.lower() for f in shown)
    return Drawing(
        "trade-off",
        f"{upright.title} against {titles}",
        "One point for each experiment, mean over cycles, with 95 % t intervals (no interval with "
        "one cycle). Blue circles joined by the line: non-dominated, the Pareto front, where no "
        "other experiment is better in both. Orange squares: dominated in the means, but not "
        "distinguishable. Grey diamonds: dominated by another in both, by 95 % intervals of ratios "
        "paired by cycle, not adjusted. Better is more throughput, less energy and less latency."
        + REPEATABILITY_ALONE * (upright.sensor is not None)
        + " Experiments measured under other terms are not drawn." * apart,
        figure,
        pd.concat(data),
    )


def _points(summary: Summary, front: Front) -> list[Point]:
    x, y = (
        {(e.experiment, e.device_model, e.power_limit_watts): e for e in estimates(summary, metric)}
        for metric in (BY_COLUMN[front.metric], BY_COLUMN[front.against])
    )
    return [
        (x[key], y[key], point.status)
        for point in front.points
        for key in [(point.experiment, point.device_model, point.power_limit_watts)]
        if key in x and key in y
    ]


_COLOURS = {"non_dominated": SERIES[0], "not_distinguishable": SERIES[1], "dominated": MUTED}
_MARKERS = {"non_dominated": "o", "not_distinguishable": "s", "dominated": "D"}


def _draw(axes: Axes, points: Sequence[Point]) -> None:
    on_front = sorted(
        (x.mean, y.mean, x.label) for x, y, status in points if status == "non_dominated"
    )
    if on_front:
        axes.plot(*zip(*[p[:2] for p in on_front], strict=True), color=SERIES[0], lw=1, alpha=0.6)
    for kind, colour in _COLOURS.items():  # one artist for all of a kind: there may be thousands
        own = [(x, y) for x, y, status in points if status == kind]
        level = [(y.mean, x.low, x.high) for x, y in own if None not in (x.low, x.high)]
        upright = [(x.mean, y.low, y.high) for x, y in own if None not in (y.low, y.high)]
        if level:
            axes.hlines(*zip(*level, strict=True), color=colour, lw=1.3)
        if upright:
            axes.vlines(*zip(*upright, strict=True), color=colour, lw=1.3)
        means = ([x.mean for x, _ in own], [y.mean for _, y in own])
        axes.plot(*means, _MARKERS[kind], color=colour, ms=4.5)
    widest = max((x.mean for x, _, _ in points), default=0.0)
    for across, up, label in on_front[:MOST_LABELS]:
        right = across > 0.6 * widest
        axes.annotate(
            label,
            (across, up),
            xytext=(-5 if right else 5, -9 if right else 5),
            textcoords="offset points",
            ha="right" if right else "left",
            fontsize=7,
            color=INK,
        )
    axes.margins(0.12)
    axes.set_ylim(bottom=0)
    axes.set_xlim(left=0)


def _axis(metric: Metric) -> str:
    return f"{metric.short_title} ({metric.display_unit})"


def _data(points: Sequence[Point]) -> pd.DataFrame:
    data = as_data([e for x, y, _ in points for e in (x, y)])
    data["pareto"] = [status for _, _, status in points for _ in range(2)]
    return data
