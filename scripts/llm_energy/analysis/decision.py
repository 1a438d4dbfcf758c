"""The number of cycles of an experiment: a pure function of the results of its first cycles.

In a file of its own, because each decision is a job that loads no more than it needs.
"""

from collections.abc import Sequence

from llm_energy.results.metrics import (
    END_TO_END,
    JOULES_PER_OUTPUT_TOKEN,
    THROUGHPUT,
    TTFT,
    Metric,
    value_of,
)
from llm_energy.results.open_load import SATURATED
from llm_energy.results.parts import Model
from llm_energy.results.result import Result
from llm_energy.system.vocabulary import OPEN

DECIDING = (JOULES_PER_OUTPUT_TOKEN, THROUGHPUT)
"""The metric that decides: the first of these that at least two of the first cycles have."""

DECIDING_OPEN = (JOULES_PER_OUTPUT_TOKEN, TTFT, END_TO_END)
"""The same for load mode `open`, where throughput scatters as the arrivals do. Attainment and
goodput do not decide, because other objectives may be declared after a decision."""


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


def decide(
    results: Sequence[Result],
    target_relative_half_width: float,
    *,
    metrics: Sequence[Metric] | None = None,
) -> Decision:
    """Return the decision that the results of the first cycles make.

    Args:
        metrics: the metrics that may decide, in order; None: those of the load mode.
    """
    from statistics import fmean, stdev

    from llm_energy.stats.cycles_needed import cycles_required  # SciPy

    ordered = sorted(results, key=lambda result: result.cycle)
    first, target = ordered[0], target_relative_half_width
    metrics = metrics or (DECIDING_OPEN if first.load_mode == OPEN else DECIDING)
    chosen: str | None = None
    values: list[float | None] = []
    needed, variation = None, None
    for metric in metrics:
        values = [_value(result, metric) for result in ordered]
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


def _value(result: Result, metric: Metric) -> float | None:
    """Return the value of a metric; of a latency none where the queue grew, because that latency is
    longer the longer the window is."""
    load = result.open_load
    if metric.kind == "latency" and load is not None and load.saturation == SATURATED:
        return None
    return value_of(result, metric)
