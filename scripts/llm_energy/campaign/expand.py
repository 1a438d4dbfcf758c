"""The grammar of experiments: from a named group to its points."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice, product
from math import prod
from typing import Any

from llm_energy.campaign.problems import KeyPath, Problems, listed, shown, unknown
from llm_energy.campaign.schema import Axes, Group, Range
from llm_energy.campaign.types import canonical_number

MAXIMUM_POINTS = 100_000
"""Most experiments of one group: beyond it, a campaign is a mistake and planning takes minutes."""

MAXIMUM_NAME = 200
"""Most characters in an experiment's name: file systems allow 255 in a name."""

PREFIXES = {"batch_size": "batch", "output_tokens": "out", "context_tokens": "ctx"}
SELF_EXPLAINING = ("backend", "model", "prompts", "dtype", "load_mode")


@dataclass(frozen=True)
class Point:
    """One experiment of a group: its name, and the settings that make it differ."""

    name: str
    factors: Mapping[str, Any]
    """Dotted setting -> value, in declared order."""


def expand(name: str, group: Group, problems: Problems) -> list[Point]:
    """The points of a group: every combination of its axes, without `exclude`, with `include`.

    A group without axes is one point. What is wrong is added to `problems`.
    """
    path: KeyPath = ("experiments", name)
    axes = _independent_axes(group, path, problems)
    keys = [key for axis in axes for key in axis[0]]
    for key in sorted({key for key in keys if keys.count(key) > 1}):
        problems.add(path, f"{key} varies twice; keep it in one axis")
    if prod(len(axis) for axis in axes) > MAXIMUM_POINTS:
        problems.add(path, f"makes more than {MAXIMUM_POINTS} experiments; use fewer values")
        return []
    points = [_merged(blocks) for blocks in product(*axes)]
    points = _without_excluded(points, group, keys, path, problems)
    for index, added in enumerate(group.include):
        missing = [key for key in keys if key not in added]
        if missing:
            problems.add((*path, "include", index), f"needs a value for {listed(missing)}")
        else:
            rest = {key: value for key, value in added.items() if key not in keys}
            points.append({key: canonical_number(added[key]) for key in keys} | rest)
    if group.exclude and not points:
        problems.add((*path, "exclude"), "excludes every combination; keep one, or drop the group")
    named = [Point(experiment_name(name, point), point) for point in points]
    for point in named:
        if len(point.name) > MAXIMUM_NAME:
            problems.add(path, f"makes a name of over {MAXIMUM_NAME} characters; vary fewer keys")
            break
    return named


def experiment_name(group: str, factors: Mapping[str, Any]) -> str:
    """`GROUP_LABEL_LABEL`: one label for each setting that varies, safe in a path."""
    return "_".join([group, *(label(key, value) for key, value in factors.items())])


def label(key: str, value: Any) -> str:
    """`batch_size`, 4 -> `batch4`; `dtype`, "bfloat16" -> `bfloat16`."""
    prefix = "" if key in SELF_EXPLAINING else PREFIXES.get(key, key.rsplit(".", 1)[-1])
    text = str(value).lower() if isinstance(value, bool) else str(canonical_number(value))
    return re.sub(r"[^A-Za-z0-9.-]", "-", prefix + text)


def values_of(values: Any) -> list[Any]:
    """The values of an axis, numbers in their one form; at most one above `MAXIMUM_POINTS`.

    Ranges are exact in decimals: from 0.1 by steps of 0.1 come 0.2 and 0.3.

    Args:
        values: a list or a `Range`.
    """
    every = map(canonical_number, values if isinstance(values, list) else _range(values))
    return list(islice(every, MAXIMUM_POINTS + 1))


def _range(values: Range) -> Iterator[float]:
    # As text the numbers are those of the file: 0.1 is one tenth.
    value, last = Decimal(str(values.from_)), Decimal(str(values.to))
    step, factor = Decimal(str(values.step or 0)), Decimal(str(values.factor or 1))
    while value <= last:
        yield float(value)
        value = (value + step) * factor


def same(one: Any, other: Any) -> bool:
    """Equality of two values of a file: 8 is 8.0, but 1 is not true."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _independent_axes(
    group: Group, path: KeyPath, problems: Problems
) -> list[list[dict[str, Any]]]:
    """Each axis as the list of its blocks: the settings that go together."""
    axes = [
        [
            {key: value}
            for (value,) in _distinct([(v,) for v in values], (*path, "axes", key), problems)
        ]
        for key, values in _lists(group.axes, (*path, "axes"), problems).items()
    ]
    for index, block in enumerate(group.linked):
        where = (*path, "linked", index)
        lists = _lists(block, where, problems)
        lengths = {len(values) for values in lists.values()}
        if len(lengths) > 1:
            counts = listed(f"{key}: {len(values)}" for key, values in lists.items())
            problems.add(where, f"needs lists of one length (here {counts})")
        rows = list(zip(*lists.values()))  # noqa: B905 - told above
        axes.append(
            [dict(zip(lists, row, strict=True)) for row in _distinct(rows, where, problems)]
        )
    return [axis for axis in axes if axis]


def _lists(axes: Axes, path: KeyPath, problems: Problems) -> dict[str, list[Any]]:
    lists = {}
    for key, declared in axes.items():
        values = values_of(declared)
        if not values:
            problems.add((*path, key), "is empty: `to` lies below `from`; swap them")
        elif len(values) > MAXIMUM_POINTS:
            problems.add((*path, key), f"has over {MAXIMUM_POINTS} values; use a larger step")
            values = []
        lists[key] = values
    return lists


def _distinct(
    rows: list[tuple[Any, ...]], path: KeyPath, problems: Problems
) -> list[tuple[Any, ...]]:
    """The rows, each once. In linked settings a single value may repeat, a whole row may not."""
    counts = Counter(tuple((isinstance(v, bool), v) for v in row) for row in rows)  # 1 is not true
    once = [tuple(value for _, value in row) for row in counts]
    repeated = [row for row, number in zip(once, counts.values(), strict=True) if number > 1]
    if repeated:
        told = listed(" with ".join(map(shown, row)) for row in repeated)
        problems.add(path, f"has {told} twice; keep one")
    return once


def _merged(blocks: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    return {key: value for block in blocks for key, value in block.items()}


def _without_excluded(
    points: list[dict[str, Any]], group: Group, keys: list[str], path: KeyPath, problems: Problems
) -> list[dict[str, Any]]:
    for index, excluded in enumerate(group.exclude):
        where = (*path, "exclude", index)
        strange = [key for key in excluded if key not in keys]
        for key in strange:
            problems.add((*where, key), unknown("axis of this group", key, keys))
        kept = [p for p in points if not all(same(p.get(k), v) for k, v in excluded.items())]
        if len(kept) == len(points) and not strange:
            problems.add(
                where, "excludes nothing: no combination has these values; correct or remove it"
            )
        points = kept
    return points
