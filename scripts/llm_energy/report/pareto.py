"""The trade-off: what an experiment costs against what it gives, and which others it beats."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes

from llm_energy.metrics import ITL, JOULES_PER_OUTPUT_TOKEN, THROUGHPUT, TTFT, Metric
from llm_energy.report.estimates import Estimate, as_data, estimates
from llm_energy.report.style import INK, MUTED, SERIES, Drawing, canvas, narrow
from llm_energy.summary import Summary

MOST_LABELS = 8
"""Points of the front that are named in the figure; its data names all."""

Pair = tuple[Estimate, Estimate]
"""One experiment on the horizontal and on the vertical axis."""


def trade_off(summary: Summary) -> Drawing | None:
    """Energy against throughput and latency; without energy, throughput against latencies.

    Only experiments of one scope and load mode, the most common one, are drawn together.
    """
    energy = estimates(summary, JOULES_PER_OUTPUT_TOKEN)
    upright, across = (
        (JOULES_PER_OUTPUT_TOKEN, (THROUGHPUT, TTFT)) if energy else (THROUGHPUT, (TTFT, ITL))
    )
    panels = {metric: _pairs(summary, metric, upright) for metric in across}
    panels = {metric: pairs for metric, pairs in panels.items() if len(pairs) > 1}
    if not panels:
        return None
    grid = (len(panels), 1) if narrow() else (1, len(panels))
    figure, axes = canvas(2.6 * grid[0] + 0.4, *grid, squeeze=False, sharey=not narrow())
    data = []
    for panel, (metric, pairs) in zip(axes.flat, panels.items(), strict=True):
        best = front(pairs)
        _draw(panel, pairs, best)
        panel.set_xlabel(_axis(metric))
        if panel is axes.flat[0] or narrow():
            panel.set_ylabel(_axis(upright))
        data.append(_data(pairs, best))
    others = len(energy or estimates(summary, upright)) - max(map(len, panels.values()))
    apart = f" {others} experiments of other terms are not drawn." * (others > 0)
    words = "Energy per output token" if energy else "Throughput"
    titles = " and ".join(metric.title.partition(",")[0].lower() for metric in panels)
    return Drawing(
        "trade-off",
        f"{words} against {titles}",
        "One point for each experiment, mean over cycles, with 95 % t intervals (no interval with "
        "one cycle). Blue and joined by the line: the Pareto front, which no other experiment "
        "beats in both means. Orange: not on it, but its intervals overlap those of every "
        "experiment that beats it, so that it may be. Grey: clearly beaten by another. Better is "
        "more throughput, less energy and less latency." + apart,
        figure,
        pd.concat(data),
    )


def front(pairs: Sequence[Pair]) -> list[str]:
    """For each pair: `front`, `perhaps` (not shown to be beaten) or `beaten`.

    One beats another if both means are better; clearly, if both intervals lie apart as well.
    """
    found = []
    for pair in pairs:
        betters = [other for other in pairs if _beats(other, pair)]
        clear = any(
            not a.overlaps(b) and not c.overlaps(d) for (a, c) in betters for b, d in [pair]
        )
        found.append("beaten" if clear else "perhaps" if betters else "front")
    return found


def _beats(one: Pair, other: Pair) -> bool:
    return all(
        (a.mean > b.mean) if a.metric.higher_is_better else (a.mean < b.mean)
        for a, b in zip(one, other, strict=True)
    )


def _pairs(summary: Summary, x: Metric, y: Metric) -> list[Pair]:
    upright = estimates(summary, y)
    counts = pd.Series([e.terms for e in upright]).value_counts()
    by_label = {e.label: e for e in estimates(summary, x)}
    return [
        (by_label[e.label], e)
        for e in upright
        if e.label in by_label and e.terms == counts.index[0]
    ]


_COLOURS = {"front": SERIES[0], "perhaps": SERIES[1], "beaten": MUTED}
_MARKERS = {"front": "o", "perhaps": "s", "beaten": "D"}


def _draw(axes: Axes, pairs: Sequence[Pair], best: Sequence[str]) -> None:
    on_front = sorted(
        (x.mean, y.mean, x.label)
        for (x, y), kind in zip(pairs, best, strict=True)
        if kind == "front"
    )
    axes.plot(*zip(*[p[:2] for p in on_front], strict=True), color=SERIES[0], lw=1, alpha=0.6)
    for (x, y), kind in zip(pairs, best, strict=True):
        colour = _COLOURS[kind]
        if x.low is not None and x.high is not None:
            axes.plot([x.low, x.high], [y.mean] * 2, color=colour, lw=1.3)
        if y.low is not None and y.high is not None:
            axes.plot([x.mean] * 2, [y.low, y.high], color=colour, lw=1.3)
        axes.plot(x.mean, y.mean, _MARKERS[kind], color=colour, ms=4.5)
    widest = max(x.mean for x, _ in pairs)
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
    return f"{metric.title.partition(',')[0]} ({metric.display_unit})"


def _data(pairs: Sequence[Pair], best: Sequence[str]) -> pd.DataFrame:
    data = as_data([e for pair in pairs for e in pair])
    data["pareto"] = [kind for kind in best for _ in range(2)]
    return data
