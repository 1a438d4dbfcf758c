"""Measurements of a run that are made at the same time, and how long its blocks take that way."""

import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from heapq import heapreplace
from pathlib import Path

from llm_energy.runs.run import Run
from llm_energy.runs.run_parts import allocation_of, lane_of, lost_sets
from llm_energy.runs.run_records import Spread

Durations = Iterable[tuple[int, float]]
"""(cycle, time in s) of each measurement."""


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

    def lasts_s(self, durations: Durations) -> float:
        """Return the time in s after which all is measured."""
        return self._lasts_s(_by_cycle(durations))

    def in_turn_s(self, durations: Durations) -> float:
        """Return the same with one allocation of a cluster after another."""
        one = None if self.allocations is None else 1
        return replace(self, allocations=one).lasts_s(durations)

    def used(self, cycles: Iterable[int]) -> int:
        """Return how many allocations measure at the same time where the cluster gives all that
        may; 0 on one host."""
        numbers = {allocation_of(cycle, self.lanes) for cycle in cycles}
        return min(self.allocations or 0, len(numbers))

    def _lasts_s(self, blocks: Mapping[int, float]) -> float:
        if self.allocations is not None:
            return self._in_allocations_s(blocks, self.allocations)
        lasts_s = _longest_s(blocks, self._lane)
        if self.spread is None:
            return lasts_s
        # With more lanes than sets, or begun blocks, those of several lanes take turns on a set.
        spread = self.spread
        return max(lasts_s, _longest_s(blocks, lambda cycle: spread.set_of(cycle, self.lost)))

    def _in_allocations_s(self, blocks: Mapping[int, float], at_once: int) -> float:
        each: dict[int, dict[int, float]] = {}
        for cycle, lasts_s in blocks.items():
            each.setdefault(allocation_of(cycle, self.lanes), {})[cycle] = lasts_s
        ends_s = [0.0] * max(1, min(at_once, len(each)))
        for number in sorted(each):  # the next one begins where one ends first
            heapreplace(ends_s, ends_s[0] + _longest_s(each[number], self._lane))
        return max(ends_s)

    def _lane(self, cycle: int) -> int:
        return lane_of(cycle, self.lanes)


SERIAL = Concurrency()
"""One measurement after another."""


def _by_cycle(durations: Durations) -> dict[int, float]:
    """Return the time in s of each block."""
    blocks: dict[int, float] = {}
    for cycle, duration_s in durations:
        blocks[cycle] = blocks.get(cycle, 0.0) + duration_s
    return blocks


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
