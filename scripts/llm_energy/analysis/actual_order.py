"""The actual order in which a run measured, beside the order that was planned for it."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from llm_energy.results.result import Result


class Places(NamedTuple):
    """Planned and actual rank of a measurement among those of its run, from 1."""

    planned: int
    actual: int


def places(results: Sequence[Result]) -> list[Places]:
    """The places of each result, in the order given.

    Within its run: one that resumes a campaign plans the order of what was left to it.
    """
    found = [Places(0, 0)] * len(results)
    for indices in _by_run(results):
        planned = sorted(indices, key=lambda index: results[index].position)
        actual = _actual_order(results, indices)
        ranks = {index: rank for rank, index in enumerate(actual, start=1)}
        for rank, index in enumerate(planned, start=1):
            found[index] = Places(rank, ranks[index])
    return found


def predecessors(results: Sequence[Result]) -> list[str | None]:
    """The experiment that ran before each result in its run, None for a run's first one."""
    found: list[str | None] = [None] * len(results)
    for indices in _by_run(results):
        for before, after in pairwise(_actual_order(results, indices)):
            found[after] = results[before].experiment
    return found


def in_actual_order(results: Sequence[Result]) -> list[Result]:
    """The results as they were really measured, run after run."""
    runs = sorted(_by_run(results), key=lambda indices: min(results[i].started for i in indices))
    return [results[index] for indices in runs for index in _actual_order(results, indices)]


def _by_run(results: Sequence[Result]) -> Iterable[list[int]]:
    by_run: dict[str, list[int]] = defaultdict(list)
    for index, result in enumerate(results):
        by_run[result.environment.run_id].append(index)
    return by_run.values()


def _actual_order(results: Sequence[Result], indices: Sequence[int]) -> list[int]:
    """Return the results of one run in their order, by the monotonic stamps of their phases; a run
    without phases is ordered by the wall clock."""
    if all(results[index].phases for index in indices):
        return sorted(indices, key=lambda index: results[index].phases[0].start_monotonic_s)
    return sorted(indices, key=lambda index: results[index].started)
