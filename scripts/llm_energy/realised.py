"""The order in which a run really measured, against the order that was planned for it."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from llm_energy.results import Result


class Places(NamedTuple):
    """Where a measurement stands among those of its run, from 1."""

    planned: int
    realised: int


def places(results: Sequence[Result]) -> list[Places]:
    """The places of each result, in the order given.

    Within its run: one that resumes a campaign plans the order of what was left to it.
    """
    by_run: dict[str, list[int]] = defaultdict(list)
    for index, result in enumerate(results):
        by_run[result.environment.run_id].append(index)
    found = [Places(0, 0)] * len(results)
    for indices in by_run.values():
        planned = sorted(indices, key=lambda index: results[index].position)
        # Phases are stamped on a clock that nobody sets; what has none is told by the wall clock.
        stamped = all(results[index].phases for index in indices)
        realised = sorted(indices, key=lambda index: _began(results[index], stamped=stamped))
        ranks = {index: rank for rank, index in enumerate(realised, start=1)}
        for rank, index in enumerate(planned, start=1):
            found[index] = Places(rank, ranks[index])
    return found


def _began(result: Result, *, stamped: bool) -> float | str:
    return result.phases[0].start_monotonic_s if stamped else result.started
