"""Measurements of a run that are made at the same time, and how long its blocks take that way."""

import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from heapq import heapreplace
from pathlib import Path
from typing import NamedTuple

from llm_energy.runs.run import Run
from llm_energy.runs.run_parts import allocation_of, lane_of, lost_sets
from llm_energy.runs.run_records import Spread


class Expected(NamedTuple):
    """The time that one measurement is expected to take."""

    cycle: int
    lasts_s: float
    alone: bool = False
    """True where no other set of its host measures meanwhile."""


@dataclass(frozen=True)
class Concurrency:
    """Places that measure at the same time; by default, one."""

    lanes: int = 1
    """Measurements at the same time, each of another block; on a cluster, in each allocation."""
    spread: Spread | None = None
    """Sets of GPUs that the blocks lie on; None where they need no others than their lanes."""
    lost: tuple[int, ...] = ()
    """Indices of sets that are given up."""
    allocations: int | None = None
    """Allocations of a cluster at the same time; None on one host."""

    def lasts_s(self, measurements: Iterable[Expected]) -> float:
        """Return the time in s after which all is measured, without the waits of a measurement
        that is made alone until the current ones have ended."""
        if self.allocations is None:
            return self._on_host_s(measurements)
        return self._in_allocations_s(measurements, self.allocations)

    def in_turn_s(self, measurements: Iterable[Expected]) -> float:
        """Return the same with one allocation of a cluster after another."""
        one = None if self.allocations is None else 1
        return replace(self, allocations=one).lasts_s(measurements)

    def used(self, cycles: Iterable[int]) -> int:
        """Return how many allocations measure at the same time where the cluster gives all that
        may; 0 on one host."""
        numbers = {allocation_of(cycle, self.lanes) for cycle in cycles}
        return min(self.allocations or 0, len(numbers))

    def _on_host_s(self, measurements: Iterable[Expected]) -> float:
        blocks, alone_s = dict[int, float](), 0.0
        for cycle, lasts_s, alone in measurements:
            if alone:  # all other sets are idle
                alone_s += lasts_s
            else:
                blocks[cycle] = blocks.get(cycle, 0.0) + lasts_s
        beside_s = _longest_s(blocks, self._lane)
        if (spread := self.spread) is not None:
            # With more lanes than sets, or begun blocks, those of several lanes take turns on one.
            on_set_s = _longest_s(blocks, lambda cycle: spread.set_of(cycle, self.lost))
            beside_s = max(beside_s, on_set_s)
        return alone_s + beside_s

    def _in_allocations_s(self, measurements: Iterable[Expected], at_once: int) -> float:
        each: dict[int, list[Expected]] = {}
        for expected in measurements:
            each.setdefault(allocation_of(expected.cycle, self.lanes), []).append(expected)
        ends_s = [0.0] * max(1, min(at_once, len(each)))
        for number in sorted(each):  # the next one begins where one ends first
            heapreplace(ends_s, ends_s[0] + self._on_host_s(each[number]))
        return max(ends_s)

    def _lane(self, cycle: int) -> int:
        return lane_of(cycle, self.lanes)


SERIAL = Concurrency()
"""One measurement after another."""


def _longest_s(blocks: Mapping[int, float], place: Callable[[int], int]) -> float:
    """Return the time in s of the place that takes longest, each with one block after another."""
    places: dict[int, float] = {}
    for cycle, lasts_s in blocks.items():
        places[place(cycle)] = places.get(place(cycle), 0.0) + lasts_s
    return max(places.values(), default=0.0)


def concurrency_of(whole: Run) -> Concurrency:
    """Return what a run measures at the same time: on its sets, or in those of its allocations
    that have begun."""
    spread = whole.find("spread", Spread)
    if spread is None:
        return SERIAL
    if spread.sets:
        return Concurrency(spread.at_once, spread, lost_sets(whole))
    begun = sum(_is_allocation_of(whole, run) for run in Run.all())
    return Concurrency(spread.at_once, allocations=begun)


def living_concurrency(results: Path) -> Concurrency | None:
    """Return what a living run measures at the same time; None without one."""
    for run in Run.all():
        with contextlib.suppress(OSError, ValueError):  # it ends at this moment
            if run.results == results.absolute() and run == run.invocation and run.alive():
                return concurrency_of(run)
    return None


def _is_allocation_of(whole: Run, run: Run) -> bool:
    with contextlib.suppress(OSError, ValueError):  # it ends at this moment
        return run.record.invocation == whole.run_id and run.alive()
    return False
