"""Serving under load against the rate of requests: latency, attainment, goodput, energy."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from llm_energy.analysis.summary import Summary
from llm_energy.report import settings_figure, style
from llm_energy.report.configurations import RATE, Group, Served, configurations, group_of
from llm_energy.report.estimates import (
    BELOW_ZERO,
    REPEATABILITY_ALONE,
    Estimate,
    as_data,
    estimates,
)
from llm_energy.report.serving_section import objectives_in_words
from llm_energy.report.settings_figure import MOST_LINES, scale_settings
from llm_energy.report.style import MARKERS, MUTED, SERIES, Drawing
from llm_energy.results.metrics import (
    ATTAINMENT,
    GOODPUT,
    ITL,
    ITL_P99,
    JOULES_PER_GOOD_REQUEST,
    TTFT,
    TTFT_P99,
    Metric,
)
from llm_energy.results.open_load import UNDECIDED
from llm_energy.system.numbers import exact, plural

FIGURES: Mapping[str, tuple[str, Sequence[Metric]]] = {
    "latency": ("Latency", (TTFT, ITL, TTFT_P99, ITL_P99)),
    "attainment": ("Attainment", (ATTAINMENT,)),
    "goodput": ("Goodput", (GOODPUT,)),
    "energy-per-good-request": ("Energy per good request", (JOULES_PER_GOOD_REQUEST,)),
}
"""Beginning of a figure's name -> beginning of its title, and the metrics of its panels."""

LATENCIES = " Latencies count from the scheduled arrival."
OF_A_TRACE = " A trace that was taken whole stands at the mean rate that it offered."
SENTENCES = {
    "attainment": " Grey line: the share that is to be good.",
    "goodput": " Grey line: every request is good.",
}
SEARCHED = (
    " Upright stroke on it: the highest rate that keeps the objectives, as the search found it; "
    "broad line: its 95 % interval, which ends at measured rates or is open."
)
SATURATED = (
    " Shaded from its lowest saturated rate on, with hollow markers and dotted lines: saturated "
    "cycles, whose values depend on the length of the window; they are part of no other point."
)
NO_ENERGY = (
    " Shaded from its lowest saturated rate on: a saturated cycle has no energy per good request."
)
LOGARITHMIC_FROM = 8
"""Latencies that differ by that factor get a logarithmic scale."""

EDGE = 0.6
"""Lower edge of a logarithmic scale over the least value on it."""

APART = 0.012
"""Distance of lines that are set apart, over the width of all rates."""

SHADE = 0.08
"""Opacity of the saturated region; the regions of several configurations add up."""


class Point(NamedTuple):
    """The mean over cycles of one configuration at one rate."""

    rate: float
    estimate: Estimate


Lines = Mapping[str, Sequence[Point]]
"""Label of a configuration -> its points by rate, the saturated ones of a rate last."""


@dataclass(frozen=True)
class Known:
    """Configurations that were measured at more rates than one."""

    of_group: Mapping[Group, Served]
    looks: Mapping[str, Mapping[str, Any]]
    """Label -> colour and marker, the same in each figure."""
    saturated_from: Mapping[str, float]
    """Label -> the lowest rate with a saturated cycle."""


def by_request_rate(summary: Summary) -> list[Drawing]:
    """Return the drawings of `FIGURES` that the measurements support; none without a configuration
    that was measured at two rates."""
    known = _known(summary)
    found = []
    for name, (title, metrics) in FIGURES.items():
        lines = {metric: _lines(summary, metric, known) for metric in metrics}
        if drawn := {metric: own for metric, own in lines.items() if own}:
            found.append(_drawing(summary, name, title, drawn, known))
    return found


def _known(summary: Summary) -> Known:
    served = configurations(summary)
    rates, saturated = defaultdict(set), defaultdict(set)
    for own in served.values():
        rates[own.label].add(own.rate)
        if own.saturated:
            saturated[own.label].add(own.rate)
    labels = [label for label, own_rates in rates.items() if len(own_rates) > 1]
    looks = zip(labels, cycle(SERIES), cycle(MARKERS), strict=False)
    return Known(
        {group: own for group, own in served.items() if own.label in labels},
        {label: {"color": colour, "marker": marker} for label, colour, marker in looks},
        {label: min(own_rates) for label, own_rates in saturated.items()},
    )


def _lines(summary: Summary, metric: Metric, known: Known) -> Lines:
    lines: dict[str, list[Point]] = {label: [] for label in known.looks}
    for estimate in estimates(summary, metric):
        if own := known.of_group.get(group_of(vars(estimate))):
            lines[own.label].append(Point(own.rate, estimate))
    return {
        label: sorted(points, key=lambda point: (point.rate, point.estimate.saturated))
        for label, points in lines.items()
        if points
    }


def _drawing(
    summary: Summary, name: str, title: str, found: Mapping[Metric, Lines], known: Known
) -> Drawing:
    shown = list(known.looks)[:MOST_LINES]
    rates = sorted({own.rate for own in known.of_group.values()})
    columns = 1 if style.narrow() or len(found) == 1 else 2
    rows = -(-len(found) // columns)
    figure, axes = style.canvas(0.9 + 2.2 * rows, rows, columns, sharex=True, squeeze=False)
    for panel, (metric, lines) in zip(axes.flat, found.items(), strict=True):
        drawn = {label: lines[label] for label in shown if label in lines}
        bottom = _bottom(metric, [point for points in drawn.values() for point in points])
        _draw_reference(panel, summary, metric, rates)
        for label, points in drawn.items():
            place = shown.index(label) - (len(shown) - 1) / 2
            _draw_line(panel, _apart(points, place, rates), known.looks[label], bottom)
        _scale(panel, metric, rates, bottom)
        _shade(panel, known, shown)
        if metric is ATTAINMENT:
            _draw_searches(panel, summary, known, shown)
        if len(found) > 1:
            panel.set_title(metric.title, fontsize=8, fontweight="normal")
        panel.set_ylabel(f"{title} ({metric.display_unit})")
    for panel in axes[-1]:
        panel.set_xlabel("request rate (requests/s)")
    if len(shown) > 1:
        handles = [Line2D([], [], ms=5, lw=1, **known.looks[label]) for label in shown]
        style.legend_below(figure, 1 if style.narrow() or len(shown[0]) > 40 else 2, handles, shown)
    placed = [(label, p) for lines in found.values() for label, own in lines.items() for p in own]
    data = as_data(point.estimate for _, point in placed)
    data.insert(0, RATE, [point.rate for _, point in placed])
    data.insert(1, "line", [label for label, _ in placed])
    data.insert(2, "saturated", [point.estimate.saturated for _, point in placed])
    estimated = [point.estimate for label, point in placed if label in shown]
    caption = _caption(summary, name, title, estimated, known)
    left_out = style.left_out(len(known.looks) - len(shown), "line")
    return Drawing(
        f"{name}-by-request-rate", f"{title} against request rate", caption + left_out, figure, data
    )


def _bottom(metric: Metric, points: Sequence[Point]) -> float:
    """Return the lower edge of a panel: 0, or that of a logarithmic scale for latencies."""
    means = [point.estimate.mean for point in points]
    wide = metric.kind == "latency" and max(means) > LOGARITHMIC_FROM * min(means) > 0
    return EDGE * min(means) if wide else 0.0


def _apart(points: Sequence[Point], place: float, rates: Sequence[float]) -> list[Point]:
    """Return the points of a line set sideways, so that those of other lines stay visible."""
    if rates[-1] / rates[0] >= settings_figure.LOGARITHMIC_FROM:
        factor = (rates[-1] / rates[0]) ** (APART * place)
        return [point._replace(rate=point.rate * factor) for point in points]
    shift = APART * place * (rates[-1] - rates[0])
    return [point._replace(rate=point.rate + shift) for point in points]


def _scale(panel: Axes, metric: Metric, rates: Sequence[float], bottom: float) -> None:
    scale_settings(panel, rates, numeric=True)
    panel.set_xmargin(0.08)
    if bottom:
        panel.set_yscale("log")
        panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: exact(value)))
        panel.yaxis.set_minor_locator(NullLocator())
    panel.set_ylim(bottom=bottom, top=105 if metric is ATTAINMENT else None)
    style.grid_only(panel, "y")


def _draw_line(
    panel: Axes, points: Sequence[Point], look: Mapping[str, Any], bottom: float
) -> None:
    steady = [point for point in points if not point.estimate.saturated]
    saturated = [point for point in points if point.estimate.saturated]
    before = [point for point in steady if saturated and point.rate <= saturated[0].rate]
    colour = look["color"]
    for own, dashes in ((steady, "-"), (before[-1:] + saturated, ":")):
        panel.plot(*_places(own), dashes, color=colour, lw=1.2 if dashes == ":" else 1, alpha=0.6)
    known = [
        (rate, max(e.low, bottom), e.high)
        for rate, e in points
        if e.low is not None and e.high is not None
    ]
    if known:
        panel.vlines(*zip(*known, strict=True), color=colour, lw=1.6)
    for rate, estimate in points:
        if estimate.reaches_below_zero:
            style.open_end(panel, (rate, bottom), "v", colour)
    panel.plot(*_places(steady), ls="", ms=5, **look)
    panel.plot(*_places(saturated), ls="", ms=5, mfc=style.PAPER, **look)


def _places(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    return [point.rate for point in points], [point.estimate.mean for point in points]


def _shade(panel: Axes, known: Known, shown: Sequence[str]) -> None:
    right = panel.get_xlim()[1]
    for label in shown:
        if (rate := known.saturated_from.get(label)) is not None:
            panel.axvspan(rate, right, color=known.looks[label]["color"], alpha=SHADE, lw=0)
    panel.set_xlim(right=right)


def _draw_searches(panel: Axes, summary: Summary, known: Known, shown: Sequence[str]) -> None:
    """Draw on the line of the share the highest good rate that was searched, and its interval."""
    labels = {group[0]: own.label for group, own in known.of_group.items()}
    left, right = panel.get_xlim()
    for search in summary.findings.highest_good:
        label = next((labels.get(one.experiment, "") for one in search.visited), "")
        if label not in shown:
            continue
        colour, share = known.looks[label]["color"], 100 * search.share
        if search.low is not None or search.high is not None:
            ends = (search.low or left, search.high or right)
            panel.hlines(share, *ends, color=colour, lw=4, alpha=0.35)
        if search.found is not None:
            panel.plot(search.found, share, "|", color=colour, ms=12, mew=1.6)
    panel.set_xlim(left, right)


def _draw_reference(panel: Axes, summary: Summary, metric: Metric, rates: Sequence[float]) -> None:
    """Draw the share that is to be good, or the goodput if every request is good."""
    if metric is ATTAINMENT:
        share = summary.measurements["objective_share"].dropna().iloc[0]
        panel.axhline(100 * share, color=MUTED, lw=0.9)
    elif metric is GOODPUT:
        along = np.linspace(rates[0], rates[-1], 50)
        panel.plot(along, along, color=MUTED, lw=0.9)


def _caption(
    summary: Summary, name: str, title: str, drawn: Sequence[Estimate], known: Known
) -> str:
    n = " or ".join(map(str, sorted({estimate.n for estimate in drawn})))
    kind = "" if name == "attainment" else "t "
    text = (
        f"{title}, mean over cycles, against the rate of requests, with 95 % {kind}intervals "
        f"(n = {n} for each point; one cycle has none). Along a line all other settings are "
        "equal; lines are set slightly apart."
    )
    text += LATENCIES if name == "latency" else f" {objectives_in_words(summary.measurements)}"
    if summary.measurements["trace"].notna().any():
        text += OF_A_TRACE
    text += SENTENCES.get(name, "")
    if name == "attainment" and summary.findings.highest_good:
        text += SEARCHED
    if known.saturated_from:
        text += NO_ENERGY if drawn[0].metric is JOULES_PER_GOOD_REQUEST else SATURATED
    text += _undecided(summary)
    if drawn[0].metric.sensor:
        text += REPEATABILITY_ALONE
    if any(estimate.reaches_below_zero for estimate in drawn):
        text += f" Hollow triangle at the lower edge: {BELOW_ZERO}."
    return text


def _undecided(summary: Summary) -> str:
    count = int((summary.measurements["saturation"] == UNDECIDED).sum())
    if not count:
        return ""
    return f" Saturation is undecided in {plural(count, 'cycle')}, which count as not saturated."
