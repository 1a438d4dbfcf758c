"""Columns of tables as fields of models: the docstring is the meaning, the annotation the type."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pandas as pd
from pandas.api.types import is_float_dtype
from pydantic import BaseModel, ConfigDict

from llm_energy.system.docstrings import field_docstrings

Dtype = Literal["string", "Int64", "Float64", "boolean", "list"]

ROWS_AT_ONCE = 2500
"""Rows of a CSV that are Python's own values at the same time, which take several times the room of
a column."""

DTYPES: dict[Any, Dtype] = {int: "Int64", float: "Float64", bool: "boolean", list: "list"}


class Row(BaseModel):
    """A row of a table: its fields are the columns."""

    model_config = ConfigDict(frozen=True)


@dataclass(frozen=True)
class Column:
    dtype: Dtype
    meaning: str


def columns_of(model: type[BaseModel]) -> dict[str, Column]:
    """The columns that the fields of a model describe, by name."""
    return {name: column_at(model, name) for name in model.model_fields}


def column_at(model: type[BaseModel], path: str) -> Column:
    """The column that is read from a field.

    Args:
        path: dotted names from `model` to the field. Where a field has no docstring, or the path
            leads into a plain mapping, the last description on the way counts.
    """
    meaning, annotation = "", Any
    for name in path.split("."):
        is_model = isinstance(model, type) and issubclass(model, BaseModel)
        fields = model.model_fields if is_model else {}
        if name not in fields:
            break
        meaning = " ".join((field_docstrings(model).get(name) or meaning).split())
        annotation = model = _without_none(fields[name].annotation)
    return Column(DTYPES.get(get_origin(annotation) or annotation, "string"), meaning)


def series(values: Sequence[Any], column: Column) -> pd.Series:
    """A column of a table from its values; None is empty."""
    return pd.Series(values, dtype=column.dtype)


def uniform_series(values: Sequence[Any]) -> pd.Series:
    """A column of one type, whatever types its values have: of text where these have none in
    common, or where a whole number is too large for a column of numbers."""
    types = frozenset(type(value) for value in values if value is not None)
    if int in types and any(type(v) is int and not -(2**63) <= v < 2**63 for v in values):
        types = frozenset({str})  # a seed may be larger, and no float is equal to it
    dtypes: dict[frozenset[type], Dtype] = {frozenset({t}): DTYPES[t] for t in (bool, int, float)}
    dtypes[frozenset({int, float})] = "Float64"
    if types in dtypes:
        return pd.Series(values, dtype=dtypes[types])
    return pd.Series([None if value is None else str(value) for value in values], dtype="string")


def csv_of(table: pd.DataFrame, *, digits: int | None = None) -> bytes:
    """Return a table as CSV, the same as pandas writes it, in less time.

    Args:
        digits: significant ones of columns of floats; None: as many as it takes.
    """
    file = io.BytesIO()
    text = io.TextIOWrapper(file, "utf-8", newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table)
    for first in range(0, len(table), ROWS_AT_ONCE):
        rows = table.iloc[first : first + ROWS_AT_ONCE]
        columns = (_to_digits(values, digits) for _, values in rows.items())
        writer.writerows(zip(*columns, strict=True))
    text.flush()
    return file.getvalue()


def _to_digits(values: pd.Series, digits: int | None) -> list[Any]:
    """The values of a column as `plain` gives them, floats as text of so many digits."""
    known = plain(values)
    if digits is None or not is_float_dtype(values.dtype):
        return known
    return [None if value is None else f"{value:.{digits}g}" for value in known]


def plain(values: pd.Series) -> list[Any]:
    """The values of a column as Python's own; None where one is missing."""
    listed: list[Any] = values.tolist()
    known = values.notna()
    if known.all():
        return listed
    return [value if is_known else None for value, is_known in zip(listed, known, strict=True)]


def records_by(
    table: pd.DataFrame, group: Sequence[str], columns: Iterable[str]
) -> dict[tuple[Any, ...], list[dict[str, Any]]]:
    """The rows of each group in Python's own values, with None where a value is missing.

    Args:
        group: columns that rows of one group share.
        columns: further columns that are read.
    """
    names = list(dict.fromkeys((*group, *columns)))
    found: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for values in zip(*(plain(table[name]) for name in names), strict=True):
        found.setdefault(values[: len(group)], []).append(dict(zip(names, values, strict=True)))
    return found


def _without_none(annotation: Any) -> Any:
    if get_origin(annotation) in (Union, UnionType):
        annotation = next(kind for kind in get_args(annotation) if kind is not NoneType)
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
