"""Carry-over between the measurements of a campaign: place in the cycle, predecessor, process age.

All measurements of the campaign take part, those of controls too. Each effect is estimated by
itself, beside the levels of experiments and cycles. The intervals of all effects hold together.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from llm_energy.analysis.actual_order import in_actual_order, predecessors
from llm_energy.analysis.experiments_table import group_of
from llm_energy.results.metrics import WATCHED, Metric, watched_value
from llm_energy.results.parts import Model
from llm_energy.results.result import Result
from llm_energy.stats.block_effects import Effect, Observation, predecessor_effects, slope_effect
from llm_energy.stats.paired_ratios import simultaneous_confidence

Factor = Literal["position", "predecessor", "process_age"]
FACTORS: tuple[Factor, ...] = ("position", "predecessor", "process_age")

NOT_TESTABLE: Mapping[Factor, str] = {
    "position": "Not testable: too few cycles, or their order is not random.",
    "predecessor": "Not testable: too few cycles for so many predecessors, or their order is not "
    "random.",
    "process_age": "Not testable: too few measurements shared an engine process.",
}


class CarryOver(Model):
    """The effect of one factor on one metric, as a relative change."""

    metric: str
    factor: Factor
    """`position`: from the first place of a cycle to the last. `predecessor`: after the experiment
    `after`, against the mean of all predecessors. `process_age`: from the youngest engine process
    to the oldest."""
    after: str | None
    """The predecessor with the clearest effect."""
    change: float | None
    """None where it cannot be estimated."""
    low: float | None
    """Interval; those of all effects hold together with 95 % (Bonferroni)."""
    high: float | None
    detectable: float | None
    """Size from which an effect would have been found with 95 %; of predecessors the largest."""
    observations: int
    seen: bool
    """True where the interval excludes no change."""
    reason: str
    """Why there is no effect; empty where there is one."""


@dataclass(frozen=True)
class _Measured:
    """One measurement in the actual order of its run."""

    result: Result
    place: int
    """In its cycle, from 0."""
    predecessor: str | None
    """The experiment before it; None for the first one of a run."""

    def observation(self, metric: Metric) -> Observation:
        result = self.result
        block = result.environment.session_id, result.environment.run_id, result.cycle
        return Observation(group_of(result), block, watched_value(result, metric) or 0.0)


def carry_over(results: Sequence[Result]) -> list[CarryOver]:
    """The effects of every factor on each metric that was measured.

    Args:
        results: all of the campaign, those of controls included.
    """
    measured = list(_measured(results))
    by_metric = {
        metric: [m for m in measured if (watched_value(m.result, metric) or 0.0) > 0.0]
        for metric in WATCHED
    }
    known = {metric: found for metric, found in by_metric.items() if found}
    confidence = simultaneous_confidence(len(FACTORS) * len(known))
    return [
        _effect(metric, factor, found, confidence)
        for metric, found in known.items()
        for factor in FACTORS
    ]


def _measured(results: Sequence[Result]) -> Iterator[_Measured]:
    """Yield the measurements run after run."""
    taken: Counter[tuple[str, int]] = Counter()
    ordered = in_actual_order(results)
    for result, predecessor in zip(ordered, predecessors(ordered), strict=True):
        cycle = result.environment.run_id, result.cycle
        yield _Measured(result, taken[cycle], predecessor)
        taken[cycle] += 1


def _effect(
    metric: Metric, factor: Factor, found: Sequence[_Measured], confidence: float
) -> CarryOver:
    after, effect, detectable = None, None, None
    if factor == "predecessor":
        kept = [m for m in found if m.predecessor is not None]
        effects = predecessor_effects(
            [m.observation(metric) for m in kept],
            [m.predecessor or "" for m in kept],
            confidence,
        )
        if effects:
            after = max(effects, key=lambda name: _clearness(effects[name]))
            effect = effects[after]
            detectable = max(each.detectable for each in effects.values())
    else:
        covariate = [_covariate(m, factor) for m in found]
        pairs = [(m.observation(metric), x) for m, x in zip(found, covariate, strict=True)]
        known = [(observation, x) for observation, x in pairs if x is not None]
        shared = factor == "position" or any(_reused(m.result) for m in found)
        if shared and known:
            effect = slope_effect([o for o, _ in known], [x for _, x in known], confidence)
            detectable = None if effect is None else effect.detectable
    return CarryOver(
        metric=metric.column,
        factor=factor,
        after=after,
        change=effect and effect.change,
        low=effect and effect.low,
        high=effect and effect.high,
        detectable=detectable,
        observations=0 if effect is None else effect.observations,
        seen=effect is not None and effect.seen,
        reason=NOT_TESTABLE[factor] if effect is None else "",
    )


def _covariate(measured: _Measured, factor: Factor) -> float | None:
    if factor == "position":
        return float(measured.place)
    process = measured.result.process
    return None if process is None else process.engine_age_s


def _reused(result: Result) -> bool:
    return result.process is not None and result.process.engine_reused


def _clearness(effect: Effect) -> float:
    """Distance from no change over the half width of the interval, on logarithms."""
    estimate = math.log1p(effect.change)
    half_width = math.log1p(effect.high) - estimate
    return abs(estimate) / half_width if half_width > 0.0 else math.inf
