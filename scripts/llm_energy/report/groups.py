"""The tables of a summary by metric and by group, taken apart once for all figures and tables."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from llm_energy.analysis.experiments_table import GROUP
from llm_energy.analysis.summary import Summary
from llm_energy.analysis.table_columns import plain, records_by

ESTIMATED = (
    *("n", "mean", "repeatability_standard_uncertainty"),
    *("t_low", "t_high", "total_low", "total_high"),
)
"""Columns of the table of experiments that make an estimate."""


@lru_cache(maxsize=4)
def rows_of_metrics(summary: Summary) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """The rows of the table of experiments, by metric: columns of `GROUP` and `ESTIMATED`."""
    found = records_by(summary.experiments, ["metric"], [*GROUP, *ESTIMATED])
    return {metric: rows for (metric,), rows in found.items()}


@lru_cache(maxsize=4)
def places_of_groups(summary: Summary) -> Mapping[tuple[str, ...], Sequence[int]]:
    """The places in the table of measurements of the rows of each group, by `text_key`."""
    groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
    columns = (column(summary, name) for name in GROUP)
    for index, values in enumerate(zip(*columns, strict=True)):
        groups[text_key(values)].append(index)
    return groups


@lru_cache(maxsize=64)
def column(summary: Summary, name: str) -> Sequence[Any]:
    """The values of a column of the table of measurements; None where one is missing."""
    return plain(summary.measurements[name])


def text_key(key: Iterable[Any]) -> tuple[str, ...]:
    """Return a key as text: values of one group may have other types in another table."""
    return tuple("" if value is None else str(value) for value in key)
