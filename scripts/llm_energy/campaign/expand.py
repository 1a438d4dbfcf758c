"""The grammar of experiments: from a named group to its points."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import combinations, islice, product
from math import prod
from typing import Any

from llm_energy.campaign.campaign_file import Axes, AxisValues, Group, HighestGood, Range
from llm_energy.campaign.gpu_settings import other_forms
from llm_energy.campaign.problems import KeyPath, Problems, listed, shown, unknown
from llm_energy.campaign.types import canonical_number

MAXIMUM_POINTS = 10_000
"""Most experiments of one group: beyond it, a campaign is a mistake and planning takes minutes."""

MAXIMUM_KEY_SETS = 100
"""Most different sets of keys among the entries of `exclude`: each is looked up for every point."""

MAXIMUM_NAME = 200
"""Most characters in an experiment's name: it stands in tables, figures and commands."""

PREFIXES = {
    "batch_size": "batch",
    "output_tokens": "out",
    "context_tokens": "ctx",
    "request_rate": "rate",
    "gpu.power_limit_watts": "limit",
    "gpu.power_limit_watts.of_default": "limit",
    "gpu.sm_clock_mhz": "sm",
    "gpu.sm_clock_mhz.of_default": "sm",
    "gpu.sm_clock_mhz.from": "sm-from",
    "gpu.sm_clock_mhz.to": "sm-to",
    "gpu.memory_clock_mhz": "mem",
    "gpu.memory_clock_mhz.of_default": "mem",
    "gpu.memory_clock_mhz.from": "mem-from",
    "gpu.memory_clock_mhz.to": "mem-to",
}
SELF_EXPLAINING = ("backend", "model", "prompts", "dtype", "load_mode", "trace")


@dataclass(frozen=True)
class Point:
    """One experiment of a group: its name, and the settings that make it differ."""

    name: str
    factors: Mapping[str, Any]
    """Dotted setting -> value, in declared order."""


def expand(name: str, group: Group, problems: Problems) -> list[Point]:
    """Return every combination of a group's axes, without `exclude`, with `include`.

    A group without axes is one point. What is wrong is added to `problems`.
    """
    path: KeyPath = ("experiments", name)
    axes = _independent_axes(group, path, problems)
    keys = [key for axis in axes for key in axis[0]]
    for key, number in Counter(keys).items():
        if number > 1:
            problems.add(path, f"{key} varies twice; keep it in one axis")
    for key, other in combinations(keys, 2):
        if other in other_forms(key):
            problems.add(path, f"{key} and {other} are two forms of one setting; vary one of them")
    if prod(len(axis) for axis in axes) > MAXIMUM_POINTS:
        problems.add(path, f"makes more than {MAXIMUM_POINTS} experiments; use fewer values")
        return []
    points = [
        {key: value for block in blocks for key, value in block.items()}
        for blocks in product(*axes)
    ]
    if searched_axis(group) is not None:
        _check_search(group, path, problems)
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
    if any(len(point.name) > MAXIMUM_NAME for point in named):
        problems.add(path, f"makes a name of over {MAXIMUM_NAME} characters; vary fewer keys")
    return named


def experiment_name(group: str, factors: Mapping[str, Any]) -> str:
    """`GROUP_LABEL_LABEL`: one label for each setting that varies, safe in a command."""
    return "_".join([group, *(label(key, value) for key, value in factors.items())])


def label(key: str, value: Any) -> str:
    """`batch_size`, 4 -> `batch4`; `dtype`, "bfloat16" -> `bfloat16`."""
    prefix = "" if key in SELF_EXPLAINING else PREFIXES.get(key, key.rsplit(".", 1)[-1])
    text = str(value).lower() if isinstance(value, bool) else str(canonical_number(value))
    return re.sub(r"[^A-Za-z0-9.-]", "-", prefix + text)


def values_of(values: AxisValues) -> list[Any]:
    """Return the values of an axis, numbers in their one form; at most one above `MAXIMUM_POINTS`.

    Ranges are exact in decimals: from 0.1 by steps of 0.1 come 0.2 and 0.3.
    """
    match values:
        case Range():
            found: Iterable[Any] = _range(values)
        case HighestGood():
            found = values.highest_good.rates
        case _:
            found = values
    every = map(canonical_number, found)
    return list(islice(every, MAXIMUM_POINTS + 1))


def _range(values: Range) -> Iterator[float]:
    # As text the numbers are those of the file: 0.1 is one tenth.
    value, last = Decimal(str(values.from_)), Decimal(str(values.to))
    step, factor = Decimal(str(values.step or 0)), Decimal(str(values.factor or 1))
    while value <= last:
        yield float(value)
        value = (value + step) * factor


def axis_blocks(group: Group) -> Iterator[tuple[KeyPath, Axes]]:
    """Yield where the axes of a group stand in it, and the axes: first all that vary alone."""
    yield ("axes",), group.axes
    for index, block in enumerate(group.linked):
        yield ("linked", index), block


def searched_axis(group: Group) -> HighestGood | None:
    """Return the rates that a group searches; None where it measures all its experiments."""
    rates = group.axes.get("request_rate")
    return rates if isinstance(rates, HighestGood) else None


def _check_search(group: Group, path: KeyPath, problems: Problems) -> None:
    """Check that nothing adds to the rates of a search, or takes from them."""
    if group.include:
        message = "a group that searches its highest good rate has none; use a group of its own"
        problems.add((*path, "include"), message)
    for index, excluded in enumerate(group.exclude):
        if "request_rate" in excluded:
            message = "a search decides itself which rates are measured; leave it out"
            problems.add((*path, "exclude", index, "request_rate"), message)


def _independent_axes(
    group: Group, path: KeyPath, problems: Problems
) -> list[list[dict[str, Any]]]:
    """Each axis as the list of its blocks: the settings that go together."""
    axes = []
    for where, block in axis_blocks(group):
        lists = _lists(block, (*path, *where), problems)
        alone = where == ("axes",)
        if not alone and len({len(values) for values in lists.values()}) > 1:
            counts = listed(f"{key}: {len(values)}" for key, values in lists.items())
            problems.add((*path, *where), f"needs lists of one length (here {counts})")
        for keys in [(key,) for key in lists] if alone else [tuple(lists)]:
            rows = list(zip(*(lists[key] for key in keys)))  # noqa: B905 - reported above
            place = (*path, *where, *(keys if alone else ()))
            distinct = _distinct(rows, place, problems)
            axes.append([dict(zip(keys, row, strict=True)) for row in distinct])
    return [axis for axis in axes if axis]


def _lists(axes: Axes, path: KeyPath, problems: Problems) -> dict[str, list[Any]]:
    lists = dict[str, list[Any]]()
    for key, declared in axes.items():
        if isinstance(declared, HighestGood) and (key != "request_rate" or path[-1] != "axes"):
            message = "highest_good is for `axes.request_rate` alone; give a list of values"
            problems.add((*path, key), message)
            if key != "request_rate":  # its values are none of this key
                lists[key] = []
                continue
        lists[key] = values_of(declared)
        if not lists[key]:
            problems.add((*path, key), "is empty: `to` lies below `from`; swap them")
        elif len(lists[key]) > MAXIMUM_POINTS:
            problems.add((*path, key), f"has over {MAXIMUM_POINTS} values; use a larger step")
            lists[key] = []
    return lists


def _typed(value: Any) -> tuple[bool, Any]:
    """Equal for equal values of a file: 8 is 8.0, but 1 is not true."""
    return isinstance(value, bool), value


def _distinct(
    rows: list[tuple[Any, ...]], path: KeyPath, problems: Problems
) -> list[tuple[Any, ...]]:
    """The rows, each once. In linked settings a single value may repeat, a whole row may not."""
    counts = Counter(tuple(map(_typed, row)) for row in rows)
    repeated = [
        " with ".join(shown(value) for _, value in row)
        for row, number in counts.items()
        if number > 1
    ]
    if repeated:
        problems.add(path, f"has {listed(repeated)} twice; keep one")
    return [tuple(value for _, value in row) for row in counts]


def _without_excluded(
    points: list[dict[str, Any]], group: Group, keys: list[str], path: KeyPath, problems: Problems
) -> list[dict[str, Any]]:
    """Return the points that no entry of `exclude` agrees with.

    Entries with the same keys are looked up together: a time linear in points and entries. Of two
    that exclude the same, the second excludes nothing.
    """
    by_keys: dict[tuple[str, ...], dict[tuple[Any, ...], int]] = {}
    for index, excluded in enumerate(group.exclude):
        for key in (key for key in excluded if key not in keys):
            where = (*path, "exclude", index, key)
            problems.add(where, unknown("axis of this group", key, keys))
        same = tuple(key for key in keys if key in excluded)
        if len(same) == len(excluded):
            values = tuple(_typed(excluded[key]) for key in same)
            by_keys.setdefault(same, {}).setdefault(values, index)
    if len(by_keys) > MAXIMUM_KEY_SETS:
        message = f"has entries with over {MAXIMUM_KEY_SETS} different sets of keys; use fewer axes"
        problems.add((*path, "exclude"), message)
        return points
    kept, used = [], set[int]()
    for point in points:
        found = [
            excluding[values]
            for same, excluding in by_keys.items()
            if (values := tuple(_typed(point[key]) for key in same)) in excluding
        ]
        if found:
            used.add(min(found))
        else:
            kept.append(point)
    for index, excluded in enumerate(group.exclude):
        if index not in used and set(excluded) <= set(keys):
            message = "excludes nothing: no combination has these values; correct or remove it"
            problems.add((*path, "exclude", index), message)
    return kept
