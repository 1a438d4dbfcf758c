"""The tables of the page: texts for people, and values to sort by."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd

from llm_energy.analysis.courses_over_time import BOUND_SINCE
from llm_energy.analysis.derived import derived_metrics
from llm_energy.analysis.dictionary import dictionary
from llm_energy.analysis.measurements_table import SETTING, varying_settings
from llm_energy.analysis.summary import Summary
from llm_energy.report.estimates import BELOW_ZERO, NOTHING, by_label, short_names, without_value
from llm_energy.report.headline import ratio_text
from llm_energy.results.metrics import (
    END_TO_END,
    HOST_JOULES_PER_OUTPUT_TOKEN,
    ITL,
    JOULES_PER_OUTPUT_TOKEN,
    MEAN_POWER,
    SERVED,
    THROUGHPUT,
    TTFT,
)
from llm_energy.results.metrics import METRICS as ALL_METRICS
from llm_energy.system.numbers import fixed, interval, number, percent, plural, setting_label

LONGEST_MESSAGE = 300
"""Characters of an engine's message on the page; the result file has all of it."""

VERDICTS = {
    "steady": "steady",
    "no_drift_seen": "no drift seen",
    "drift_seen": "drift seen",
    "undecided": "too much scatter to tell",
    "not_steady": "not shown to be steady",
    "too_few_waves": "too few waves to tell",
}
"""Verdict on warm-up and window -> its words."""

TWO_INTERVALS = (
    "Repeatability: from the spread over cycles alone, for ratios on one device. Total: with the "
    "full limits of the power sensor, for a number that is quoted."
)


def bias_is_bounded(measurements: pd.DataFrame) -> bool:
    """Return True where the protocol of any measurement bounds the bias of its window."""
    return bool((measurements["protocol_version"].dropna() >= BOUND_SINCE).any())


_ENERGIES = (JOULES_PER_OUTPUT_TOKEN, HOST_JOULES_PER_OUTPUT_TOKEN, MEAN_POWER)
METRICS = (*_ENERGIES, *SERVED, THROUGHPUT, TTFT, ITL, END_TO_END)


@dataclass(frozen=True, slots=True)
class Cell:
    text: str = NOTHING
    detail: str = ""
    """A second, smaller line."""
    sort: float | str | None = None


@dataclass(frozen=True)
class Column:
    title: str
    unit: str = ""
    numeric: bool = True


@dataclass(frozen=True)
class Table:
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    note: str = ""
    """Stands below it."""


NAME = Column("Experiment", numeric=False)


def words(*titles: str) -> list[Column]:
    """Columns of text."""
    return [Column(title, numeric=False) for title in titles]


def cell(value: Any, formatted: Callable[[Any], str] = str, detail: str = "") -> Cell:
    """A value with its text, sorted by the value; a dash if it is missing or empty."""
    if pd.isna(value) or value == "":
        return Cell()
    return Cell(formatted(value), detail, value if isinstance(value, int | float) else str(value))


def estimate_cell(value: float | None, low: float | None, high: float | None) -> Cell:
    """A value above its interval, or above the statement that there is none."""
    if value is None:
        return Cell()
    if low is None or high is None:
        return Cell(number(value), "no interval", value)
    return Cell(number(value, (high - low) / 2), interval(low, high), value)


def interval_cell(low: float | None, high: float | None) -> Cell:
    """An interval, sorted by its upper end."""
    return Cell() if low is None or high is None else Cell(interval(low, high), sort=high)


def name_cell(names: Mapping[str, str], experiment: object, detail: str = "") -> Cell:
    """The short name of an experiment, sorted by the whole name."""
    return Cell(names[str(experiment)], detail, str(experiment))


whole = partial(fixed, decimals=0)


def results_table(summary: Summary) -> Table:
    """One row per experiment group: mean, interval and n of the headline metrics."""
    labels, found = by_label(
        summary, [*METRICS, *derived_metrics(summary.findings.design.assumptions)]
    )
    lead = next(iter(found), THROUGHPUT)
    ratios = {c.experiment: c for c in summary.findings.comparisons if c.metric == lead.column}
    columns = [NAME, Column("n"), *(Column(m.title, m.display_unit) for m in found)]
    if ratios:
        reference = short_names(summary)[summary.findings.design.reference or ""]
        columns.append(Column(f"{lead.title} against {reference}", "ratio"))
    rows = []
    for label in labels:
        known = [estimates.get(label) for estimates in found.values()]
        some = [estimate for estimate in known if estimate is not None]
        lost = some[0].out_of_memory
        n = sorted({min(e.n for e in some), max(e.n for e in some)})
        row = [Cell(label, f"{plural(lost, 'cycle')} more out of memory" if lost else "", label)]
        row.append(Cell(" to ".join(map(str, n)), sort=n[0]))
        for e in known:
            detail = "\n".join(e.interval_texts) or "no interval" if e else ""
            row.append(Cell(number(e.mean, e.half_width), detail, e.mean) if e else Cell())
        if ratios:
            ratio = ratios.get(some[0].experiment)
            value, certainty = ratio_text(ratio) if ratio else ("", "")
            row.append(Cell(f"{value} ×", certainty, ratio.ratio) if ratio else Cell())
        rows.append(row)
    for label, why in without_value(summary, THROUGHPUT):
        rows.append([Cell(label, why, label)] + [Cell()] * (len(columns) - 1))
    below_zero = any(e.reaches_below_zero for by in found.values() for e in by.values())
    notes = [f"Below 0: {BELOW_ZERO}." if below_zero else "", summary.findings.assumed or ""]
    if any(metric.sensor for metric in found):
        notes.insert(0, TWO_INTERVALS)
    return Table(columns, rows, " ".join(filter(None, notes)))


def cycles_table(summary: Summary) -> Table | None:
    """The number of cycles of each experiment, where its own spread decided; else None."""
    adaptive, decided = summary.findings.design.adaptive, summary.findings.cycles_decided
    if adaptive is None or not decided:
        return None
    names, titles = short_names(summary), {m.column: m.title for m in ALL_METRICS}
    target = f"±{100 * adaptive.target_relative_half_width:g} %"
    numbers = ("Spread of the first cycles", f"Cycles for {target}", "Asked for", "With a value")
    columns = [NAME, *words("Decided by"), *map(Column, numbers), Column("Reached")]
    rows = [
        [
            name_cell(names, one.experiment),
            Cell(titles[one.metric] if one.metric else "nothing: no spread is known"),
            cell(one.coefficient_of_variation, percent),
            cell(one.needed),
            cell(one.planned, detail="the most" if one.capped else ""),
            cell(one.measured),
            cell(one.relative_half_width, lambda width: f"±{percent(width)}"),
        ]
        for one in decided
    ]
    note = (
        f"The first {adaptive.first} cycles decided, once. Intervals after that are the mean ± "
        "t·s/√N with t and s of those first cycles, for every metric (Stein)."
    )
    return Table(columns, rows, note)


def out_of_memory_table(summary: Summary) -> Table | None:
    """One row for each experiment that ran out of memory at least once; None without any."""
    table = summary.measurements
    lost = table[table["status"] == "out_of_memory"]
    if lost.empty:
        return None
    names, varying = short_names(summary), list(varying_settings(table))
    made = table.groupby("experiment").size()
    rows = []
    for experiment, group in lost.groupby("experiment", sort=False):
        first = group.sort_values("started").to_dict("records")[0]
        # An engine process that has come up was loaded; another ran out of memory before.
        came_up = group["engine_jobs"].notna()
        moments = ["loading"] * (not came_up.all()) + ["generating"] * bool(came_up.any())
        labels = filter(None, (setting_label(name, first[SETTING + name]) for name in varying))
        message = first["message"] if isinstance(first["message"], str) else ""
        cut = message[:LONGEST_MESSAGE] + "…" * (len(message) > LONGEST_MESSAGE)
        rows.append(
            [
                name_cell(names, experiment),
                Cell(f"{len(group)} of {made[experiment]}", sort=len(group)),
                Cell(" or ".join(moments)),
                Cell(", ".join(labels) or "the settings of all experiments"),
                Cell(cut),
            ]
        )
    columns = [NAME, Column("Cycles"), *words("During", "Settings", "Message of the engine")]
    return Table(columns, rows)


def dictionary_table(summary: Summary) -> Table:
    """The meaning of every column of the tables in files."""
    rows = [[cell(value) for value in row] for row in dictionary(summary).to_numpy()]
    return Table(words("Table", "Column", "Type", "Unit", "Meaning"), rows)


def measurements_table(summary: Summary) -> Table:
    """Every measurement, in the order in which they ran."""
    names = short_names(summary)
    shown: list[tuple[str, Column, Callable[[Any], str]]] = [
        ("joules_per_output_token", Column("Per output token", "J"), number),
        ("mean_power_watts", Column("Mean power", "W"), number),
        ("output_tokens_per_second", Column("Throughput", "tokens/s"), number),
        ("time_to_first_token_p50_s", Column("TTFT p50", "ms"), _milliseconds),
        ("time_to_first_token_p95_s", Column("TTFT p95", "ms"), _milliseconds),
        ("inter_token_latency_p50_s", Column("ITL p50", "ms"), _milliseconds),
        ("inter_token_latency_p95_s", Column("ITL p95", "ms"), _milliseconds),
        ("window_duration_s", Column("Window", "s"), number),
        ("output_tokens", Column("Output tokens"), whole),
        ("throughput_drift_relative", Column("Drift in window"), percent),
        (
            "warmup_verdict",
            Column("Steadiness", numeric=False),
            lambda code: VERDICTS.get(code, code),
        ),
    ]
    if bias_is_bounded(summary.measurements):
        shown.append(("warmup_bound", Column("Bound of its bias"), percent))
    metered = bool(summary.measurements["energy_joules"].notna().any())
    if not metered:
        shown = shown[2:]
    columns = [Column("Run order"), NAME, Column("Cycle"), *[Column("Energy", "J")] * metered]
    columns += [*(column for _, column, _ in shown), Column("Flags", numeric=False)]
    needed = ["experiment", "cycle", "status", "message", "flags", "energy_joules", "energy_reason"]
    needed += [name for name, _, _ in shown]  # of many more columns, which take time
    rows = []
    ran = summary.measurements[["started", *needed]].sort_values("started").to_dict("records")
    for rank, row in enumerate(ran, start=1):
        cells = [cell(rank, whole), name_cell(names, row["experiment"]), cell(row["cycle"], whole)]
        if metered:
            energy = row["energy_joules"]
            reason = Cell(detail=str(row["energy_reason"]))
            cells.append(reason if pd.isna(energy) else cell(energy, number))
        cells += [cell(row[name], formatted) for name, _, formatted in shown]
        lost = row["status"] == "out_of_memory"
        flags = cell(row["flags"].replace(";", ", "))
        cells.append(Cell("out of memory", row["message"] or "") if lost else flags)
        rows.append(cells)
    return Table(columns, rows)


def _milliseconds(seconds: float) -> str:
    return number(1e3 * seconds)
