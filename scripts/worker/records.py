"""Strict reading of JSON objects into dataclasses: every fault is named with its place.

Host and worker run the same version of this code, so an unknown key is a fault, not a newer peer.
"""

import math
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

Record = TypeVar("Record")

_NAMES = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


class RecordError(ValueError):
    """A JSON value of the wrong kind; the message starts with its place."""


def read_record(cls: type[Record], value: Any, where: str) -> Record:
    """Make the dataclass `cls` of the JSON object `value`.

    Fields may be str, int, float (finite), bool, dict, tuples of one of these, dataclasses, and
    unions of them; a field without a default must be there.

    Raises:
        RecordError: a key is unknown or missing, or a value has the wrong type.
    """
    if not isinstance(value, Mapping):
        raise RecordError(f"{where}: must be an object")
    types, needed = _fields_of(cls)  # type: ignore[arg-type]
    for name in value:
        if name not in types:
            raise RecordError(f"{where}.{name}: unknown key")
    for name in needed:
        if name not in value:
            raise RecordError(f"{where}.{name}: missing")
    return cls(**{n: _read(types[n], v, f"{where}.{n}") for n, v in value.items()})


@cache
def _fields_of(cls: type) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """Types of all fields of a dataclass, and the names of those without a default."""
    bare = [f for f in fields(cls) if f.default is MISSING and f.default_factory is MISSING]
    return get_type_hints(cls), tuple(field.name for field in bare)


def read_value(wanted: type[Record], value: Any, where: str) -> Record:
    """Read a value of one of the types that a field may have, as `read_record` does."""
    read: Record = _read(wanted, value, where)
    return read


def _read(wanted: Any, value: Any, where: str) -> Any:
    if type(value) is wanted and wanted is not float:  # most values; a plan has thousands
        return value
    if is_dataclass(wanted):
        return read_record(wanted, value, where)  # type: ignore[arg-type]
    if get_origin(wanted) is UnionType:
        return _read_union(get_args(wanted), value, where)
    if get_origin(wanted) is tuple:
        if not isinstance(value, list):
            raise RecordError(f"{where}: must be a list")
        item = get_args(wanted)[0]
        if item is int and all(type(element) is int for element in value):
            return tuple(value)  # prompts hold millions of token ids
        return tuple(_read(item, element, f"{where}[{i}]") for i, element in enumerate(value))
    if get_origin(wanted) is dict:
        if not isinstance(value, dict):
            raise RecordError(f"{where}: must be an object")
        return value
    if wanted is float and type(value) is int and abs(value) <= 2**53:
        value = float(value)
    if type(value) is not wanted or (wanted is float and not math.isfinite(value)):
        raise RecordError(f"{where}: must be {_NAMES[wanted]}, not {value!r:.40}")
    return value


def _read_union(arms: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in arms:
        return None
    faults = []
    for arm in arms:
        if arm is not type(None):
            try:
                return _read(arm, value, where)
            except RecordError as fault:
                faults.append(fault)
    raise faults[0]
