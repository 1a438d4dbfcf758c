"""Energy, throughput and goodput against each setting that varies, all other settings equal."""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from llm_energy.analysis.experiments_table import GROUP
from llm_energy.analysis.measurements_table import SETTING, varying_settings
from llm_energy.analysis.summary import Summary
from llm_energy.report import style
from llm_energy.report.estimates import (
    REPEATABILITY_ALONE,
    Estimate,
    as_data,
    below_zero_sentence,
    estimates,
    place_columns,
    place_text,
)
from llm_energy.report.straight_lines import straight_lines
from llm_energy.report.style import MARKERS, SERIES, Drawing
from llm_energy.results.metrics import GOODPUT, JOULES_PER_OUTPUT_TOKEN, THROUGHPUT, Metric
from llm_energy.system.numbers import setting_label

MOST_LINES = 12
"""Most lines of a legend: a figure with more shows the first ones and says so."""

LOGARITHMIC_FROM = 4
"""Axes whose largest value is at least that many times the smallest get a logarithmic scale."""

MOST_TICKS = 12
"""Numbers that stand side by side under one column; beyond it only some values are marked."""

METRICS = {JOULES_PER_OUTPUT_TOKEN: "energy", THROUGHPUT: "throughput", GOODPUT: "goodput"}
"""Metrics that are drawn against settings -> name of their files."""

Point = tuple[Any, Estimate]


def by_setting(summary: Summary, metric: Metric) -> list[Drawing]:
    """A drawing for each setting along which two experiments are otherwise equal."""
    varying = varying_settings(summary.measurements)
    found = []
    for setting, values in varying.items():
        if setting == "request_rate":
            continue  # see `serving_figures`
        others = [name for name in varying if name != setting]
        lost = _lost(summary, setting, others)
        if lines := _lines(summary, metric, setting, others, lost):
            found.append(_draw(metric, setting, lines, lost, values))
    return found


def _lines(
    summary: Summary,
    metric: Metric,
    setting: str,
    others: Sequence[str],
    lost: Mapping[str, Sequence[Any]],
) -> dict[str, list[Point]]:
    """Label of the other settings -> points along `setting`, if there are at least two, counting
    those that ran out of memory."""
    needed = [SETTING + name for name in (setting, *others)]
    first = summary.measurements[["experiment", *needed]].drop_duplicates("experiment")
    by_experiment = {row["experiment"]: row for row in first.to_dict("records")}
    lines: dict[str, list[Point]] = defaultdict(list)
    found = estimates(summary, metric)
    several = len({estimate.scope for estimate in found}) > 1
    for estimate in found:
        row = by_experiment[estimate.experiment]
        if pd.notna(value := row[SETTING + setting]):
            # Other parts of the label (a device, a power limit) are held equal as well.
            places = [*estimate.places, *[estimate.scope] * several]
            lines[line_label(row, others, places)].append((value, estimate))
    return {
        key: sorted(points, key=lambda point: point[0])
        for key, points in sorted(lines.items())
        if len({value for value, _ in points} | set(lost.get(key, []))) > 1
    }


def _lost(summary: Summary, setting: str, others: Sequence[str]) -> dict[str, list[Any]]:
    """Label of the other settings -> values of `setting` at which every cycle ran out of memory."""
    table = summary.measurements
    found: dict[str, list[Any]] = defaultdict(list)
    if not (table["status"] == "out_of_memory").any():
        return found
    for _, group in table.groupby(list(GROUP), dropna=False):
        row = group.iloc[0].to_dict()
        if (group["status"] == "out_of_memory").all() and pd.notna(row[SETTING + setting]):
            places = [place_text(row, name) for name in place_columns(summary)]
            found[line_label(row, others, places)].append(row[SETTING + setting])
    return found


def line_label(row: Mapping[Any, Any], others: Sequence[str], places: Sequence[str]) -> str:
    """Return the settings and places that are equal along a line, in words; empty for all lines
    where nothing but the setting of the axis varies."""
    held = [setting_label(name, row[SETTING + name]) for name in others]
    return ", ".join(part for part in [*held, *places] if part)


def _draw(
    metric: Metric,
    setting: str,
    lines: dict[str, list[Point]],
    lost: Mapping[str, Sequence[Any]],
    values: Sequence[Any],
) -> Drawing:
    shown = dict(list(lines.items())[:MOST_LINES])
    figure, axes = style.canvas(3.1)
    numeric = all(isinstance(value, int | float) for value in values)
    place = (lambda value: value) if numeric else list(values).index
    for (label, points), colour, marker in zip(
        shown.items(), cycle(SERIES), cycle(MARKERS), strict=False
    ):
        x, means = [place(value) for value, _ in points], [e.mean for _, e in points]
        axes.plot(x, means, color=colour, lw=1, alpha=0.55)
        known = [
            (at, e.low, e.high)
            for at, (_, e) in zip(x, points, strict=True)
            if e.low is not None and e.high is not None and e.low < e.high
        ]
        if known:
            straight_lines(axes, known, upright=True, colour=colour, width=1.6)
        for position, (_, e) in zip(x, points, strict=True):
            if e.reaches_below_zero:
                style.open_end(axes, (position, 0), "v", colour)
        axes.plot(x, means, marker, color=colour, ms=5, label=label)
        for value in lost.get(label, []):
            axes.plot(place(value), 0, "x", color=colour, ms=6, mew=1.6, clip_on=False)
    scale_settings(axes, values, numeric=numeric)
    name = setting.replace("_", " ")
    axes.set_xlabel(name)
    axes.set_ylabel(f"{metric.title} ({metric.display_unit})")
    axes.set_xmargin(0.08)
    axes.set_ylim(bottom=0)
    style.grid_only(axes, "y")
    if len(shown) > 1:
        style.legend_below(figure, 1 if style.narrow() or len(next(iter(shown))) > 40 else 2)
    drawn = [estimate for points in shown.values() for _, estimate in points]
    n = " or ".join(str(count) for count in sorted({estimate.n for estimate in drawn}))
    crosses = " A cross on the axis: out of memory." * any(label in lost for label in shown)
    data = as_data(drawn)
    data.insert(0, setting, [value for points in shown.values() for value, _ in points])
    data.insert(1, "line", [label for label, points in shown.items() for _ in points])
    return Drawing(
        f"{METRICS[metric]}-by-{setting.replace('.', '-').replace('_', '-')}",
        f"{metric.title} against {name}",
        f"{metric.title}, mean over cycles, against {name}, with 95 % t intervals (n = {n} for "
        "each point). Along a line all other settings are equal."
        f"{REPEATABILITY_ALONE if metric.sensor else ''}"
        f"{below_zero_sentence(drawn)}{crosses}{style.left_out(len(lines) - len(shown), 'line')}",
        figure,
        data,
    )


def scale_settings(axes: Axes, values: Sequence[Any], *, numeric: bool) -> None:
    """Scale the horizontal axis and mark the values of a setting, ascending."""
    if not numeric:
        axes.set_xticks(range(len(values)), [str(value) for value in values])
        axes.set_xlim(-0.5, len(values) - 0.5)
        return
    logarithmic = values[0] > 0 and values[-1] / values[0] >= LOGARITHMIC_FROM
    if logarithmic:
        axes.set_xscale("log", base=2)
    style.exact_ticks(axes, spaced(values, math.log2 if logarithmic else float))


def spaced(values: Sequence[Any], place: Callable[[Any], float]) -> list[Any]:
    """Those of `values`, ascending, that get a tick: all, or as many as have room."""
    if len(values) <= MOST_TICKS:
        return list(values)
    room = (place(values[-1]) - place(values[0])) / MOST_TICKS
    kept = [values[0]]
    for value in values[1:]:
        if place(value) - place(kept[-1]) >= room:
            kept.append(value)
    return kept
