"""Blocks that earlier runs have begun, and the GPUs that the rest of each is measured on."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from llm_energy.campaign.campaign import Campaign
from llm_energy.results.result import Result, ResultError, read_result
from llm_energy.runs.run_records import DeviceSet, Spread

LISTED = 8
"""Most cycles that a line names."""


@dataclass(frozen=True)
class Begun:
    """Where an earlier run began a block."""

    used: frozenset[str]
    """GPUs that its first result names."""
    given: tuple[str, ...] | None
    """Set of GPUs that its engine had; None: all of the host, or nobody knows."""


def begun_blocks(campaign: Campaign, results: Path, *, cycles: Collection[int]) -> dict[int, Begun]:
    """Return those of some blocks that earlier runs began, by cycle."""
    found: dict[int, Begun] = {}
    for planned in campaign.schedule:
        path = results / planned.result_path
        if planned.cycle not in cycles or planned.cycle in found or not path.exists():
            continue
        try:
            result = read_result(path)
        except ResultError:
            continue  # the report names it
        if used := frozenset(result.environment.device_uuids):
            found[planned.cycle] = Begun(used, _given(results, result))
    return found


def _given(results: Path, result: Result) -> tuple[str, ...] | None:
    """Return the GPUs of the set that a result was measured on, by the record of its run."""
    try:
        record = json.loads((results / f"runs/{result.environment.run_id}.json").read_bytes())
        return tuple(record["device_uuids"])
    except (OSError, ValueError, LookupError, TypeError):
        return None


def sets_of_blocks(begun: Mapping[int, Begun], sets: Sequence[DeviceSet]) -> dict[str, int]:
    """Return the index of the set on which each block goes on, by cycle: one that has its GPUs."""
    found: dict[str, int] = {}
    for cycle, block in begun.items():
        for index, each in enumerate(sets):
            if block.used <= set(each.devices):
                found[str(cycle)] = index
    return found


def moved_blocks(begun: Mapping[int, Begun], spread: Spread | None) -> list[str]:
    """Return one line for the blocks of each set that go on on other GPUs than they began on.

    Args:
        spread: the sets of this run; None where a measurement may use all GPUs of the host.
    """
    moved: dict[tuple[str, str], list[int]] = {}
    for cycle, block in sorted(begun.items()):
        own = spread.sets[spread.set_of(cycle)].devices if spread else None
        known = block.given or tuple(sorted(block.used))
        if own != block.given and own != known:
            now = ", ".join(own) if own else "all GPUs of the host"
            moved.setdefault((", ".join(known), now), []).append(cycle)
    return [
        f"{_named(cycles)}, begun on {before}: the rest is measured on {now}"
        for (before, now), cycles in moved.items()
    ]


def _named(cycles: Sequence[int]) -> str:
    """Return `Cycle 3`, or `Cycles 1, 5, 9`."""
    listed = ", ".join(map(str, cycles[:LISTED]))
    more = f" and {len(cycles) - LISTED} more" if cycles[LISTED:] else ""
    return f"Cycle{'s' if cycles[1:] else ''} {listed}{more}"
