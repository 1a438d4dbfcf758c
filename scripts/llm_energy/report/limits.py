"""Data for the best experiment within limits of latency that a reader sets on the page."""

import json
from collections import defaultdict
from itertools import groupby
from typing import Any

import pandas as pd

from llm_energy.analysis.summary import Summary
from llm_energy.analysis.tradeoffs import PLACE
from llm_energy.report.estimates import ranked
from llm_energy.report.verdict import BEST_WITHIN, lead_metric
from llm_energy.system.numbers import number

Place = tuple[str, ...]


def limit_data(summary: Summary) -> str | None:
    """Counts of the latencies of stored requests by experiment, best first, as JSON.

    None where no requests are stored, or nothing competes. A latency counts as below a limit where
    the upper end of its bin is, in milliseconds: at most a bin too strict, never too generous.
    """
    metric = lead_metric(summary)
    counts: dict[Place, dict[str, list[tuple[float, int]]]] = defaultdict(lambda: defaultdict(list))
    for row in summary.latencies.to_dict("records"):
        if not pd.isna(row["saturated"]):  # of load mode `open`: `serving_limits` has it
            continue
        end_ms = float(f"{1e3 * row['high_s']:.9g}")
        counts[_place(row)][row["latency"]].append((end_ms, int(row["count"])))
    groups = []
    for terms, group in groupby(ranked(summary, metric), key=lambda e: e.terms):
        known = [
            {
                "label": e.label,
                "value": f"{number(e.mean, e.half_width)} {metric.display_unit}",
                "latencies": counts[place],
            }
            for e in group
            if (place := _place({name: getattr(e, name) for name in PLACE})) in counts
        ]
        if len(known) > 1:
            groups.append({"terms": terms, "experiments": known})
    if not groups:
        return None
    content = {"best": BEST_WITHIN[metric], "groups": groups}
    return json.dumps(content, separators=(",", ":"))


def _place(row: dict[Any, Any]) -> Place:
    """Missing values differ from themselves and by table: they are compared as text."""
    limit = row["power_limit_watts"]
    limit_text = "" if limit is None or limit != limit else f"{float(limit):g}"
    return str(row["experiment"]), str(row["device_model"]), limit_text
