"""How many other sets of a host's GPUs were at work beside a measurement."""

from collections.abc import Sequence

from llm_energy.results.result import Result

FULL_SHARE = 0.5
"""Least share of the other sets that are at work beside a measurement on a full host, in the mean
over its window. Between measurements a set rests; at the end of a campaign some have nothing left.
Provisional."""


def other_sets(result: Result, results: Sequence[Result]) -> int:
    """Return the number of other sets that its run measured on."""
    return len({r.environment.run_id for r in results if _beside(result, r)})


def sets_at_work(result: Result, results: Sequence[Result]) -> float:
    """Return how many other sets measured during its window, in the mean over the window."""
    if result.window is None:
        return 0.0
    start_s, end_s = result.window.start_monotonic_s, result.window.end_monotonic_s
    spans = (
        (r.phases[0].start_monotonic_s, r.phases[-1].end_monotonic_s)
        for r in results
        if r.phases and _beside(result, r)
    )
    shared_s = sum(max(0.0, min(end, end_s) - max(start, start_s)) for start, end in spans)
    return shared_s / (end_s - start_s)


def on_full_host(result: Result, results: Sequence[Result]) -> bool:
    """Return whether most other sets were at work beside a measurement."""
    others = other_sets(result, results)
    return others > 0 and sets_at_work(result, results) >= FULL_SHARE * others


def _beside(result: Result, other: Result) -> bool:
    """Return whether another result is of another set of the same run."""
    own, its = result.environment.run_id, other.environment.run_id
    return own != its and own.rpartition("-set")[0] == its.rpartition("-set")[0] != ""
