"""The number of cycles of an experiment: a pure function of the results of its first cycles.

In a file of its own, because each decision is a job that loads no more than it needs.
"""

from collections.abc import Sequence

from llm_energy.results.metrics import JOULES_PER_OUTPUT_TOKEN, THROUGHPUT, value_of
from llm_energy.results.parts import Model
from llm_energy.results.result import Result

DECIDING = (JOULES_PER_OUTPUT_TOKEN, THROUGHPUT)
"""The metric that decides: the first of these that at least two of the first cycles have."""


class Decision(Model):
    """The number of cycles that an experiment needs."""

    experiment: str
    spec_hash: str
    first: int
    target_relative_half_width: float
    metric: str | None
    """The metric that decided; None where no metric has two values, as after out of memory."""
    values: list[float | None]
    """Values of that metric in the first cycles, in order."""
    coefficient_of_variation: float | None
    cycles: int
    """Cycles in all, not capped; the first ones where nothing is known of the spread."""


def decide(results: Sequence[Result], target_relative_half_width: float) -> Decision:
    """The decision that the results of the first cycles make."""
    from statistics import fmean, stdev

    from llm_energy.stats.cycles_needed import cycles_required  # SciPy

    ordered = sorted(results, key=lambda result: result.cycle)
    first, target = ordered[0], target_relative_half_width
    chosen: str | None = None
    values: list[float | None] = []
    needed, variation = None, None
    for metric in DECIDING:
        values = [value_of(result, metric) for result in ordered]
        needed = cycles_required(values, target)
        if needed is not None:
            known = [value for value in values if value is not None]
            chosen, variation = metric.column, stdev(known) / abs(fmean(known))
            break
    return Decision(
        experiment=first.experiment,
        spec_hash=first.spec_hash,
        first=len(ordered),
        target_relative_half_width=target,
        metric=chosen,
        values=values if chosen else [],
        coefficient_of_variation=variation,
        cycles=len(ordered) if needed is None else needed,
    )
