"""The table of serving under load: one row for each configuration at each rate of arrivals."""

from collections.abc import Sequence

import pandas as pd

from llm_energy.analysis.summary import Summary
from llm_energy.report.estimates import Estimate, estimates
from llm_energy.report.page_tables import Cell, Column, Table, cell
from llm_energy.results.metrics import (
    ATTAINMENT,
    GOODPUT,
    ITL_P95,
    JOULES_PER_GOOD_REQUEST,
    JOULES_PER_OUTPUT_TOKEN,
    REQUEST_RATE,
    TTFT_P95,
    Metric,
)
from llm_energy.results.open_load import NOT_REPORTED
from llm_energy.system.numbers import number, percent
from llm_energy.system.vocabulary import OPEN

METRICS = (
    *(REQUEST_RATE, GOODPUT, ATTAINMENT, JOULES_PER_GOOD_REQUEST, JOULES_PER_OUTPUT_TOKEN),
    *(TTFT_P95, ITL_P95),
)
TITLES = {REQUEST_RATE: "Achieved"}
"""Titles where the metric's own would be ambiguous beside the offered rate."""

MEANS = {
    "in_flight_mean": Column("In flight, mean"),
    "batch_size_mean": Column("Batch size seen, mean"),
    "idle_share": Column("Idle time"),
    "idle_energy_share": Column("Energy in it"),
}
"""Column of the table of measurements -> its title, as a mean over cycles."""

SHARES = ("idle_share", "idle_energy_share")

NO_BATCHES = (
    "Servers do not report how many requests they compute together: the requests in flight, which "
    "the client counts, include those that wait inside the server."
)

CAPTION = (
    "Serving under load: requests that arrived at a rate, whatever was still in flight. Latencies "
    "count from the scheduled arrival. Saturated cycles, in which the queue grew, have rows of "
    "their own: their latencies depend on the length of the window. Undecided cycles count as not "
    "saturated."
)


def serving_table(summary: Summary) -> Table | None:
    """Return one row for each group of cycles of load mode `open`; None without any."""
    table = summary.measurements
    served = table[(table["load_mode"] == OPEN) & (table["status"] == "completed")]
    if served.empty:
        return None
    shown = [m for m in METRICS if served[m.column].notna().any()]
    means = [name for name in MEANS if served[name].notna().any()]
    found = {m: {(e.experiment, e.saturated): e for e in estimates(summary, m)} for m in shown}
    columns = [Column("Experiment", numeric=False), Column("Offered", "requests/s")]
    columns += [Column("Queue", numeric=False), Column("n")]
    columns += [Column(TITLES.get(m, m.title), m.display_unit) for m in shown]
    columns += [MEANS[name] for name in means]
    rows = []
    ordered = served.sort_values(["request_rate", "experiment", "saturated"])
    for (name, saturated), group in ordered.groupby(
        ["experiment", "saturated"], sort=False, dropna=False
    ):
        known = [found[m].get((str(name), bool(saturated))) for m in shown]
        rows.append(
            [
                Cell(next((e.label for e in known if e), str(name)), sort=str(name)),
                cell(group["offered_per_second"].mean(), number, _requested(group)),
                Cell(_verdicts(group["saturation"].dropna())),
                Cell(str(len(group)), sort=len(group)),
                *(_estimate(e, m) for m, e in zip(shown, known, strict=True)),
                *(cell(group[n].mean(), percent if n in SHARES else number) for n in means),
            ]
        )
    note = objectives_in_words(served)
    if (served["batch_size_reason"] == NOT_REPORTED).any():
        note = f"{note} {NO_BATCHES}"
    return Table(columns, rows, note)


def _verdicts(verdicts: pd.Series) -> str:
    """Return `stable`, or `2 stable, 1 undecided` where the cycles differ."""
    counts = verdicts.value_counts().sort_index().to_dict()
    return ", ".join(str(v) if len(counts) == 1 else f"{n} {v}" for v, n in counts.items())


def _requested(group: pd.DataFrame) -> str:
    rates, traces = (group[name].dropna().unique() for name in ("request_rate", "trace"))
    whole = f"all of trace {traces[0]}" if len(traces) else ""
    return f"{rates[0]:g} requested" if len(rates) else whole


def _estimate(estimate: Estimate | None, metric: Metric) -> Cell:
    if estimate is None:
        return Cell()
    texts = estimate.interval_texts if metric.sensor else (estimate.repeatability_text or "",)
    shown = number(estimate.mean, estimate.half_width)
    return Cell(shown, "\n".join(filter(None, texts)) or "no interval", estimate.mean)


def objectives_in_words(served: pd.DataFrame) -> str:
    """Return the objectives in words; a sentence that there are none otherwise."""
    names = {
        "time_to_first_token": "time to first token",
        "inter_token_latency": "mean time between tokens",
        "end_to_end": "end to end",
    }
    first: Sequence[str] = [
        f"{title} at most {1e3 * served[column].dropna().iloc[0]:g} ms"
        for name, title in names.items()
        if served[column := f"objective_{name}_s"].notna().any()
    ]
    if not first:
        return "The campaign has no objectives (`slo`), so no request is good or bad."
    share = f"{100 * served['objective_share'].dropna().iloc[0]:.9g}\N{NO-BREAK SPACE}%"
    return f"A good request keeps {', '.join(first)}; {share} of them are to be good."
