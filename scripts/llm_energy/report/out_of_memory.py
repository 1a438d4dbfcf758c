"""What ran out of memory: an outcome of its experiment, shown with what was asked for."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from llm_energy.analysis.measurements_table import SETTING, varying_settings
from llm_energy.analysis.summary import Summary
from llm_energy.report.estimates import short_names
from llm_energy.report.page_tables import NAME, Cell, Column, Table
from llm_energy.system.numbers import setting_label

LONGEST_MESSAGE = 300
"""Characters of an engine's message that are shown; the result file has all of it."""


def out_of_memory_table(summary: Summary) -> Table | None:
    """One row for each experiment that ran out of memory at least once; None without any."""
    table = summary.measurements
    lost = table[table["status"] == "out_of_memory"]
    if lost.empty:
        return None
    names = short_names(summary)
    varying = list(varying_settings(table))
    made = table.groupby("experiment").size()
    rows = []
    for experiment, group in lost.groupby("experiment", sort=False):
        first = group.sort_values("started").to_dict("records")[0]
        rows.append(
            [
                Cell(names[str(experiment)], sort=str(experiment)),
                Cell(f"{len(group)} of {made[experiment]}", sort=len(group)),
                Cell(_moments(group)),
                Cell(_asked(first, varying)),
                Cell(_shortened(first["message"])),
            ]
        )
    columns = [
        NAME,
        Column("Cycles"),
        Column("While", numeric=False),
        Column("Asked for", numeric=False),
        Column("The engine said", numeric=False),
    ]
    return Table(columns, rows)


def _moments(lost: pd.DataFrame) -> str:
    """An engine process that has come up was loaded; one that has not ran out of memory before."""
    came_up = lost["engine_jobs"].notna()
    moments = ["loading"] * (not came_up.all()) + ["generating"] * bool(came_up.any())
    return " or ".join(moments)


def _asked(row: Mapping[Any, Any], varying: list[str]) -> str:
    parts = (setting_label(name, row[SETTING + name]) for name in varying)
    return ", ".join(part for part in parts if part) or "what all experiments ask for"


def _shortened(message: object) -> str:
    text = message if isinstance(message, str) else ""
    return text if len(text) <= LONGEST_MESSAGE else f"{text[:LONGEST_MESSAGE]}…"
