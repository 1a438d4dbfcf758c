"""Power limits and clocks on the page: what they save and what they cost."""

from collections.abc import Iterable

import pandas as pd

from llm_energy.analysis.limit_effects import (
    AXES,
    KNEE_LOSS,
    SHOWN,
    Effect,
    knee,
    level_text,
    limit_effects,
)
from llm_energy.analysis.summary import Comparison, Summary
from llm_energy.report import style
from llm_energy.report.estimates import short_names
from llm_energy.report.page_tables import NAME, Cell, Column, Table, cell, name_cell, words
from llm_energy.report.style import INK, MARKERS, SERIES, Drawing
from llm_energy.results.metrics import (
    HOST_JOULES_PER_OUTPUT_TOKEN,
    JOULES_PER_OUTPUT_TOKEN,
    THROUGHPUT,
    Metric,
)
from llm_energy.system.numbers import fixed, percent

CAPTION = (
    "Change of geometric means over cycles against the base of each axis, paired within block and "
    "device; all other settings are equal. Intervals hold with 95 % for all levels of an axis at "
    "once; those of energies show repeatability alone."
)
NOUNS = {
    JOULES_PER_OUTPUT_TOKEN: "energy per token",
    HOST_JOULES_PER_OUTPUT_TOKEN: "energy per token with the host",
    THROUGHPUT: "throughput",
}


def limit_sentences(summary: Summary) -> list[str]:
    """Return `At 70 % of the default limit: ...` for each level, and the knee of each axis."""
    names, lines = short_names(summary), []
    for (factor, base), effects in limit_effects(summary.findings.axis_comparisons).items():
        for effect in effects:
            parts = [
                _change(effect.changes[metric.column], noun)
                for metric, noun in NOUNS.items()
                if metric.column in effect.changes
            ]
            against = level_text(factor, effect.base_level)
            where = f"{names[effect.experiment]} against {names[base]}"
            lines.append(f"At {effect.level_text}: {', '.join(parts)} ({where}, {against}).")
        lines.append(_knee_sentence(names[base], effects))
    return lines


def _knee_sentence(base: str, effects: list[Effect]) -> str:
    loss = percent(KNEE_LOSS, 0)
    found = knee(effects)
    if found is not None:
        return (
            f"Knee from {base} on: {found.level_text}, the lowest level at which throughput is "
            f"shown to be within {loss} of the highest, as at all levels above it."
        )
    if any(effect.level > effect.base_level for effect in effects):
        return f"No knee from {base} on, which is not the highest level: make that the first value."
    return f"No knee from {base} on: at no lower level is throughput shown to be within {loss}."


def _change(one: Comparison, noun: str) -> str:
    text = f"{signed(one.ratio - 1.0)} {noun}"
    low, high = one.simultaneous_low, one.simultaneous_high
    if low is None or high is None:
        return f"{text} (too few pairs for an interval)"
    return f"{text} ({signed(low - 1.0)} to {signed(high - 1.0)})"


def signed(change: float) -> str:
    """-0.1234 -> `-12.3 %`, with the sign that it has."""
    sign = "+" if float(fixed(100 * abs(change), 1)) and change > 0 else ""
    return f"{sign}{percent(change)}"


def limits_table(summary: Summary) -> Table | None:
    """One row for each level; None where neither limits nor clocks vary."""
    names = short_names(summary)
    effects = [e for of in limit_effects(summary.findings.axis_comparisons).values() for e in of]
    shown = _compared(effects)
    columns = [NAME, *words("Against", "Set to"), *(Column(m.short_title) for m in shown)]
    rows = [
        [
            name_cell(names, effect.experiment),
            name_cell(names, effect.base),
            Cell(effect.level_text, sort=effect.level),
            *(_cell(effect.changes.get(metric.column)) for metric in shown),
            cell(max(one.pairs for one in effect.changes.values())),
        ]
        for effect in effects
    ]
    return Table([*columns, Column("Pairs")], rows) if rows else None


def _compared(effects: Iterable[Effect]) -> list[Metric]:
    """Return the metrics of `SHOWN` that any of the effects has, such as none of the host."""
    known = {column for effect in effects for column in effect.changes}
    return [metric for metric in SHOWN if metric.column in known]


def _cell(one: Comparison | None) -> Cell:
    if one is None:
        return Cell()
    low, high = one.simultaneous_low, one.simultaneous_high
    span = "" if low is None or high is None else f"{signed(low - 1)} to {signed(high - 1)}"
    return Cell(signed(one.ratio - 1.0), span, one.ratio)


def by_limit(summary: Summary) -> list[Drawing]:
    """A drawing for each axis of limits or clocks: what changes against its base."""
    by_factor: dict[str, dict[str, list[Effect]]] = {}
    for (factor, base), effects in limit_effects(summary.findings.axis_comparisons).items():
        by_factor.setdefault(factor, {})[base] = effects
    names = short_names(summary)
    return [
        _draw(factor, {names[base]: e for base, e in lines.items()})
        for factor, lines in by_factor.items()
    ]


def _draw(factor: str, lines: dict[str, list[Effect]]) -> Drawing:
    metrics = _compared(effect for effects in lines.values() for effect in effects)
    title, unit = AXES[factor]
    title = f"share of the {title}" if unit == " %" else title
    figure, panels = style.panels([m.short_title for m in metrics], head_inches=0.7, row_inches=1.7)
    factor_percent = 100.0 if unit == " %" else 1.0
    rows = []
    for place, (base, effects) in enumerate(lines.items()):
        look = SERIES[place % len(SERIES)], MARKERS[place % len(MARKERS)]
        for panel, metric in zip(panels, metrics, strict=True):
            known = [(e, e.changes[metric.column]) for e in effects if metric.column in e.changes]
            x = [factor_percent * effect.level for effect, _ in known]
            panel.plot(x, [100 * (o.ratio - 1) for _, o in known], look[1], color=look[0], ms=4)
            for at, (effect, one) in zip(x, known, strict=True):
                low, high = one.simultaneous_low, one.simultaneous_high
                if low is not None and high is not None:
                    panel.vlines(at, 100 * (low - 1), 100 * (high - 1), color=look[0], lw=1.6)
                rows.append(_row(effect, base, one))
            panel.plot(
                factor_percent * effects[0].base_level, 0.0, look[1], mfc="none", mec=look[0]
            )
            panel.axhline(0.0, color=INK, lw=0.7)
        if (at_knee := knee(effects)) is not None:
            panels[0].axvline(factor_percent * at_knee.level, color=look[0], lw=0.8, ls=":")
        panels[0].plot([], [], look[1], color=look[0], ms=4, label=f"from {base} on")
    panels[0].set_ylabel("change (%)")
    panels[-1].set_xlabel(f"{title} ({unit.strip()})")
    style.legend_below(figure, 1 if style.narrow() else 2)
    return Drawing(
        f"change-by-{factor.removeprefix('gpu.').replace('_', '-').replace('.', '-')}",
        f"Energy, throughput and latency by {title}",
        f"{CAPTION} A hollow mark is the base; a dotted line is the knee, the lowest level at "
        f"which the interval of throughput lies within {percent(KNEE_LOSS, 0)} of the highest "
        "level, as at all levels above it.",
        figure,
        pd.DataFrame(rows),
    )


def _row(effect: Effect, base: str, one: Comparison) -> dict[str, object]:
    kept = ("metric", "pairs", "ratio", "simultaneous_low", "simultaneous_high")
    levels = {"factor": effect.factor, "level": effect.level, "base_level": effect.base_level}
    return (
        {"experiment": effect.experiment, "base": base}
        | levels
        | {name: getattr(one, name) for name in kept}
    )
