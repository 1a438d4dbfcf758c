"""The settings of a campaign on its page: those that differ, and those that are equal."""

from pandas.api.types import is_numeric_dtype

from llm_energy.analysis.measurements_table import BACKEND, SETTING, varying_settings
from llm_energy.analysis.summary import Summary
from llm_energy.report.estimates import short_names
from llm_energy.report.page_tables import NAME, Column, Table, cell, name_cell
from llm_energy.system.numbers import setting_text


def settings_table(summary: Summary) -> Table | None:
    """The settings that differ between the experiments; None where none does."""
    shown = [SETTING + name for name in varying_settings(summary.measurements)]
    if not shown:
        return None
    first = summary.measurements.drop_duplicates("experiment").sort_values(shown)
    if first["weights"].nunique() > 1:
        shown.append("weights")
    names = short_names(summary)
    rows = [
        [name_cell(names, row["experiment"]), *(cell(row[name], setting_text) for name in shown)]
        for row in first[["experiment", *shown]].to_dict("records")
    ]
    columns = [
        Column(name.removeprefix(SETTING).replace("_", " "), numeric=is_numeric_dtype(first[name]))
        for name in shown
    ]
    return Table([NAME, *columns], rows)


def common_settings(summary: Summary) -> list[tuple[str, str]]:
    """(setting, value) of the settings that are equal in all experiments that have them."""
    table = summary.measurements
    if table.empty:  # without a result there is no column of a setting either
        return []
    varying = varying_settings(table)
    sizes = table[BACKEND].value_counts().to_dict()
    weights = table["weights"].dropna().unique()
    found = [("weights", str(weights[0]))] if len(weights) == 1 else []
    for name in table.columns:
        if not name.startswith(SETTING) or name.removeprefix(SETTING) in varying:
            continue
        for value, given in table[BACKEND].groupby(table[name], sort=False):
            backends = sorted(given.unique())
            some = "" if len(given) == sum(sizes[name] for name in backends) else "some of "
            only = "" if len(given) == len(table) else f" ({some}{', '.join(backends)})"
            found.append((name.removeprefix(SETTING), f"{setting_text(value)}{only}"))
    return found
