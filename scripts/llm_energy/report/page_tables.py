"""The tables of the page: texts for people, and values to sort by."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from pandas.api.types import is_numeric_dtype

from llm_energy.analysis.derived import derived_metrics
from llm_energy.analysis.dictionary import dictionary
from llm_energy.analysis.measurements_table import BACKEND, SETTING, varying_settings
from llm_energy.analysis.summary import Comparison, Summary
from llm_energy.report.estimates import BELOW_ZERO, Estimate, estimates, short_names, without_value
from llm_energy.report.headline import ratio_text
from llm_energy.results.metrics import (
    END_TO_END,
    ITL,
    JOULES_PER_OUTPUT_TOKEN,
    THROUGHPUT,
    TTFT,
    Metric,
)
from llm_energy.system.numbers import fixed, number, percent, plural

NOTHING = "–"

VERDICTS = {
    "steady": "steady",
    "not_steady": "not shown to be steady",
    "too_few_waves": "too few waves to tell",
}
"""Verdict on a warm-up -> how people read it."""


@dataclass(frozen=True)
class Cell:
    text: str
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


def results_table(summary: Summary) -> Table:
    """One row per experiment group: mean, interval and n of the headline metrics."""
    shown: tuple[Metric, ...] = (JOULES_PER_OUTPUT_TOKEN, THROUGHPUT, TTFT, ITL, END_TO_END)
    shown += derived_metrics(summary.findings.design.assumptions)
    by_metric = {metric: estimates(summary, metric) for metric in shown}
    metrics = [metric for metric in shown if by_metric[metric]]
    lead = metrics[0] if metrics else THROUGHPUT
    found = {metric: {e.label: e for e in by_metric[metric]} for metric in metrics}
    labels = list(dict.fromkeys(e.label for metric in metrics for e in by_metric[metric]))
    experiments = {e.label: e.experiment for metric in metrics for e in by_metric[metric]}
    ratios = {c.experiment: c for c in summary.findings.comparisons if c.metric == lead.column}
    columns = [NAME, Column("n"), *(_column(metric) for metric in metrics)]
    if ratios:
        reference = short_names(summary)[summary.findings.design.reference or ""]
        columns.append(Column(f"{lead.title} against {reference}", "ratio"))
    rows = []
    lost = {e.label: e.out_of_memory for metric in metrics for e in by_metric[metric]}
    for label in labels:
        row = [Cell(label, _lost_cycles(lost[label]), label)]
        row += [_counts([found[metric][label].n for metric in metrics if label in found[metric]])]
        row += [_estimate(found[metric].get(label)) for metric in metrics]
        row += [_ratio(ratios.get(experiments[label]))] if ratios else []
        rows.append(row)
    for label, why in without_value(summary, THROUGHPUT):
        rows.append([Cell(label, why, label)] + [Cell(NOTHING)] * (len(columns) - 1))
    told = [e for metric in metrics for e in by_metric[metric] if e.reaches_below_zero]
    notes = [f"Below 0: {BELOW_ZERO}." if told else "", summary.findings.assumed or ""]
    return Table(columns, rows, " ".join(filter(None, notes)))


def settings_table(summary: Summary) -> Table | None:
    """What differs between the experiments; None where nothing does."""
    varying = list(varying_settings(summary.measurements))
    if not varying:
        return None
    first = summary.measurements.drop_duplicates("experiment")
    first = first.sort_values([SETTING + name for name in varying])
    shown = [SETTING + name for name in varying]
    if first["weights"].nunique() > 1:
        shown.append("weights")
    names = short_names(summary)
    rows = [
        [Cell(names[row["experiment"]], sort=row["experiment"])]
        + [_setting(row[name]) for name in shown]
        for _, row in first.iterrows()
    ]
    columns = [
        Column(name.removeprefix(SETTING).replace("_", " "), numeric=is_numeric_dtype(first[name]))
        for name in shown
    ]
    return Table([NAME, *columns], rows)


def common_settings(summary: Summary) -> list[tuple[str, str]]:
    """(setting, value) of what all experiments share that have the setting at all."""
    table = summary.measurements
    varying = varying_settings(table)
    weights = table["weights"].dropna().unique()
    found = [("weights", str(weights[0]))] if len(weights) == 1 else []
    for name in table.columns:
        if not name.startswith(SETTING) or name.removeprefix(SETTING) in varying:
            continue
        for value, given in table.groupby(name, sort=False):
            backends = ", ".join(sorted(given[BACKEND].unique()))
            only = "" if len(given) == len(table) else f" ({backends})"
            found.append((name.removeprefix(SETTING), f"{value}{only}"))
    return found


def dictionary_table(summary: Summary) -> Table:
    """What every column of the tables in files means."""
    rows = [
        [_text(value) for value in row]
        for row in dictionary(summary).itertuples(index=False, name=None)
    ]
    titles = ("Table", "Column", "Type", "Unit", "Meaning")
    return Table([Column(title, numeric=False) for title in titles], rows)


def measurements_table(summary: Summary) -> Table:
    """Every measurement, in the order in which they ran."""
    table = summary.measurements.sort_values("started")
    metered = table["energy_joules"].notna().any()
    energy = [Column("Energy", "J"), Column("Per output token", "J")] if metered else []
    columns = [
        Column("Run order"),
        NAME,
        Column("Cycle"),
        *energy,
        Column("Throughput", "tokens/s"),
        Column("TTFT p50", "ms"),
        Column("TTFT p95", "ms"),
        Column("ITL p50", "ms"),
        Column("ITL p95", "ms"),
        Column("Window", "s"),
        Column("Output tokens"),
        Column("Drift in window"),
        Column("Warm-up", numeric=False),
        Column("Flags", numeric=False),
    ]
    names = short_names(summary)
    latencies = [
        f"{latency}_{percentile}_s"
        for latency in ("time_to_first_token", "inter_token_latency")
        for percentile in ("p50", "p95")
    ]
    needed = ["experiment", "cycle", "status", "message", "energy_joules", "energy_reason"]
    needed += ["joules_per_output_token", "output_tokens_per_second", *latencies]
    needed += ["window_duration_s", "output_tokens", "throughput_drift_relative"]
    needed += ["warmup_verdict", "flags"]  # of many more columns, which take time to look at
    rows = []
    for rank, row in enumerate(table[needed].to_dict("records"), start=1):
        name = Cell(names[row["experiment"]], sort=row["experiment"])
        cells = [_plain(rank), name, _plain(row["cycle"])]
        if metered:
            cells += [_energy(row), _number(row["joules_per_output_token"])]
        cells += [_number(row["output_tokens_per_second"])]
        cells += [_number(row[latency], 1e3) for latency in latencies]
        cells += [_number(row["window_duration_s"]), _plain(row["output_tokens"])]
        drift = row["throughput_drift_relative"]
        cells += [Cell(NOTHING) if pd.isna(drift) else Cell(percent(drift), sort=drift)]
        cells += [_text(_verdict(row["warmup_verdict"])), _text(row["flags"].replace(";", ", "))]
        if row["status"] == "out_of_memory":
            cells[-1] = Cell("out of memory", row["message"] or "")
        rows.append(cells)
    return Table(columns, rows)


def _lost_cycles(count: int) -> str:
    return f"{plural(count, 'cycle')} more out of memory" if count else ""


def _column(metric: Metric) -> Column:
    return Column(metric.title, metric.display_unit)


def _estimate(estimate: Estimate | None) -> Cell:
    if estimate is None:
        return Cell(NOTHING)
    detail = estimate.interval_text or "no interval"
    return Cell(number(estimate.mean, estimate.half_width), detail, estimate.mean)


def _counts(n: Sequence[int]) -> Cell:
    """One number of cycles, or the range where metrics differ in it."""
    return Cell(" to ".join(str(count) for count in sorted({min(n), max(n)})), sort=min(n))


def _ratio(comparison: Comparison | None) -> Cell:
    if comparison is None:
        return Cell(NOTHING)
    value, certainty = ratio_text(comparison)
    return Cell(f"{value} ×", certainty, comparison.ratio)


def _setting(value: Any) -> Cell:
    if pd.isna(value):
        return Cell(NOTHING)
    return Cell(str(value), sort=value if isinstance(value, int | float) else str(value))


def _energy(row: dict[Any, Any]) -> Cell:
    if pd.isna(row["energy_joules"]):
        return Cell(NOTHING, str(row["energy_reason"]))
    return _number(row["energy_joules"])


def _number(value: object, factor: float = 1.0) -> Cell:
    if not isinstance(value, int | float) or pd.isna(value):
        return Cell(NOTHING)
    return Cell(number(value * factor), sort=value)


def _plain(value: object) -> Cell:
    return Cell(fixed(value, 0), sort=value) if isinstance(value, int | float) else Cell(NOTHING)


def _verdict(code: object) -> object:
    return VERDICTS.get(code, code) if isinstance(code, str) else None


def _text(value: object) -> Cell:
    return Cell(value, sort=value) if isinstance(value, str) and value else Cell(NOTHING)
