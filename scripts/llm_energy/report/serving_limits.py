"""Data for the cheapest configuration at a rate under objectives that a reader sets on the page."""

import json
from collections import defaultdict
from typing import Any

import pandas as pd

from llm_energy.analysis.summary import Summary
from llm_energy.report.configurations import Group, configurations, group_of
from llm_energy.results.open_load import UNDECIDED

LATENCIES = ("time_to_first_token", "inter_token_latency", "end_to_end")
MOST_REQUESTS = 200_000
"""With more stored requests the page would be too large: it then has no such form."""


def serving_data(summary: Summary) -> str | None:
    """Return every whole request of load mode `open` by rate and configuration, as JSON, with the
    objectives of the campaign; None where no requests are stored, or too many."""
    stored = {
        (row["experiment"], row["spec_hash"], row["cycle"]): row
        for row in summary.requests.to_dict("records")
    }
    if not 0 < sum(len(row["end_to_end_s"]) for row in stored.values()) <= MOST_REQUESTS:
        return None
    known = configurations(summary)
    cycles: dict[Group, list[dict[str, Any]]] = defaultdict(list)
    for row in summary.measurements.to_dict("records"):
        requests = stored.get((row["experiment"], row["spec_hash"], row["cycle"]))
        if requests is not None and group_of(row) in known:
            cycles[group_of(row)].append(_cycle(row, requests))
    energies = summary.measurements.dropna(subset="energy_scope").to_dict("records")
    scopes = {group_of(row): row["energy_scope"] for row in energies}
    rates: dict[float, list[dict[str, Any]]] = defaultdict(list)
    for group, own in known.items():
        if group in cycles:
            rates[own.rate].append(
                {"label": own.label, "scope": scopes.get(group), "cycles": cycles[group]}
            )
    content = {
        "objectives": _objectives(summary.measurements),
        "rates": [{"rate": rate, "configurations": rates[rate]} for rate in sorted(rates)],
    }
    return json.dumps(content, separators=(",", ":")) if rates else None


def _cycle(row: Any, requests: Any) -> dict[str, Any]:
    joules = row["energy_joules"]
    return {
        "cycle": int(row["cycle"]),
        "arrivals": int(row["arrivals"]),
        "joules": None if pd.isna(joules) else float(joules),
        "saturated": row["saturated"] is True,
        "undecided": row["saturation"] == UNDECIDED,
        "latencies": {
            name: [float(f"{1e3 * value:.9g}") for value in requests[f"{name}_s"]]
            for name in LATENCIES
        },
    }


def _objectives(table: pd.DataFrame) -> dict[str, float]:
    """Return the objectives of the campaign in ms, and the share in percent; those that it has."""
    columns = {name: f"objective_{name}_s" for name in LATENCIES}
    found = {
        name: float(f"{1e3 * table[column].dropna().iloc[0]:.9g}")
        for name, column in columns.items()
        if table[column].notna().any()
    }
    shares = table["objective_share"].dropna()
    return found | ({"share": float(f"{100 * shares.iloc[0]:.9g}")} if len(shares) else {})
