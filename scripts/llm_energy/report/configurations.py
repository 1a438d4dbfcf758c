"""Configurations of load mode `open`: experiments that differ in their rate of requests alone."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd

from llm_energy.analysis.experiments_table import GROUP
from llm_energy.analysis.measurements_table import varying_settings
from llm_energy.analysis.summary import Summary
from llm_energy.report.estimates import place_columns, place_text
from llm_energy.report.settings_figure import line_label
from llm_energy.system.vocabulary import OPEN

RATE = "request_rate"
THE_ONLY_ONE = "the only configuration"
"""Label where nothing but the rate varies."""
Group = tuple[str, str, str]
"""Experiment, device model and power limit, as text."""


class Served(NamedTuple):
    """A configuration at one rate."""

    label: str
    """All settings and places that differ in the campaign, without the rate; `THE_ONLY_ONE`."""
    rate: float
    saturated: bool
    """True where one of its cycles is saturated."""


def configurations(summary: Summary) -> dict[Group, Served]:
    """Return the configuration of each group by label. The rate of a trace that was taken whole is
    the mean of what it offered."""
    table = summary.measurements
    served = table[(table["load_mode"] == OPEN) & table["offered_per_second"].notna()]
    if served.empty:
        return {}
    others = [name for name in varying_settings(served) if name != RATE]
    places = [name for name in place_columns(summary) if name != "saturated"]
    scopes = served["energy_scope"].nunique() > 1
    found: dict[Group, Served] = {}
    for _, cycles in served.groupby([n for n in GROUP if n != "saturated"], dropna=False):
        row = cycles.iloc[0].to_dict()
        held = [place_text(row, name) for name in places]
        held += cycles["energy_scope"].dropna().unique().tolist() * scopes
        grew = bool(cycles["saturated"].eq(True).any())
        offered = float(f"{cycles['offered_per_second'].mean():.3g}")
        rate = offered if pd.isna(row[RATE]) else float(row[RATE])
        found[group_of(row)] = Served(line_label(row, others, held) or THE_ONLY_ONE, rate, grew)
    return dict(sorted(found.items(), key=lambda item: (_natural(item[1].label), item[1].rate)))


def group_of(row: Mapping[Any, Any]) -> Group:
    """Return the group of a measurement, or of an estimate."""
    limit = row["power_limit_watts"]
    return row["experiment"], str(row["device_model"]), "" if pd.isna(limit) else f"{limit:g}"


def _natural(label: str) -> list[str | int]:
    """Return a key that sorts `batch size 8` before `batch size 16`."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", label)]
