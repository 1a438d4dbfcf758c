"""The data dictionary: type, unit and meaning of every column of the tables.

Meanings are read from where the columns are defined: the docstrings of the fields of a result, and
of the models of rows.
"""

import re
from typing import Any

import pandas as pd

from llm_energy.analysis.derived import assumed_columns, derived_metrics
from llm_energy.analysis.experiments_table import ExperimentRow
from llm_energy.analysis.measurements_table import described_columns, free_column
from llm_energy.analysis.side_tables import LatencyRow, PowerRow
from llm_energy.analysis.summary import TABLES, Summary
from llm_energy.analysis.table_columns import DTYPES, Dtype, Row, columns_of
from llm_energy.results.metrics import METRICS, Metric

ROWS: dict[str, type[Row]] = {
    "experiments": ExperimentRow,
    "power": PowerRow,
    "latencies": LatencyRow,
}
"""Table -> model of its rows. Fields without a docstring are columns of measurements as well."""

TYPES: dict[Dtype, str] = {
    "string": "text",
    "Int64": "whole number",
    "Float64": "number",
    "boolean": "true or false",
    "list": "list",
}

UNITS = {
    "joules": "J",
    "watts": "W",
    "s": "s",
    "relative": "ratio",
    "output_tokens_per_second": "tokens/s",
    "requests_per_second": "requests/s",
    "tokens": "tokens",
    "bytes": "B",
    "hz": "Hz",
    "mhz": "MHz",
    "celsius": "°C",
    "share": "ratio",
    "percent": "%",
    "coefficient_of_variation": "ratio",
    "relative_half_width": "ratio",
    "grams_per_kwh": "g CO2e/kWh",
}
"""End of a column's name -> unit."""


def dictionary(summary: Summary) -> pd.DataFrame:
    """One row for each column of each table: table, column, type, unit, meaning."""
    assumptions = summary.findings.design.assumptions
    measurements = described_columns() | assumed_columns(assumptions)
    metrics = (*METRICS, *derived_metrics(assumptions))
    rows = []
    for table in TABLES:
        known = dict(measurements)
        for name, column in columns_of(ROWS[table]).items() if table in ROWS else ():
            known[name] = column if column.meaning else measurements[name]
        for name, values in getattr(summary, table).items():
            column = known.get(name) or free_column(name, _dtype(values))
            rows.append((table, name, TYPES[column.dtype], unit(name, metrics), column.meaning))
    return pd.DataFrame(rows, columns=["table", "column", "type", "unit", "meaning"])


def unit(column: str, metrics: tuple[Metric, ...] = METRICS) -> str:
    """The unit of a metric, or that in the column's name; empty where it has none, or another
    column of its table names it."""
    by_column = {metric.column: metric.unit for metric in metrics}
    if column in by_column:
        return by_column[column]
    if column == "n" or column.endswith(("_count", "_sha256")):
        return ""
    return next((u for end, u in UNITS.items() if re.search(rf"(^|[._]){end}$", column)), "")


def _dtype(values: "pd.Series[Any]") -> Dtype:
    name = str(values.dtype)
    return next((dtype for dtype in DTYPES.values() if dtype == name), "string")
