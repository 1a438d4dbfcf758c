"""Ratios between two experiments, paired by block, and their correction for multiplicity.

Randomised blocks make slow drift of the machine common to both sides of a pair; the ratio within
a block is free of it. A missing side is never replaced: its block simply forms no pair.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import TypeVar

from scipy import stats

from .intervals import CONFIDENCE, Interval, geometric_mean, log_t_interval

Block = TypeVar("Block", bound=Hashable)

MINIMUM_PAIRS = 3
"""Under three pairs no interval is given: with one degree of freedom t is 12.7, and the
assumption of normal log ratios cannot be seen at all."""


@dataclass(frozen=True)
class PairedRatio:
    """The ratio other / reference over the blocks where both sides were measured."""

    pairs: int
    ratio: float
    """Geometric mean of the ratios."""
    interval: Interval | None
    """Log-t interval of the ratio, not adjusted for other comparisons; None under three pairs."""
    p_value: float | None
    """Two-sided paired t test on logarithms that the ratio is 1; None under three pairs."""


def paired_ratio(
    reference: Mapping[Block, float],
    other: Mapping[Block, float],
    confidence: float = CONFIDENCE,
) -> PairedRatio | None:
    """Compare positive values, each under its block, such as (cycle, session).

    None where no block has both sides. Paired t on log ratios: Senn, Statistical Issues in Drug
    Development, section 9; the ratio of geometric means is the average bioequivalence estimand.

    Raises:
        ValueError: a paired value is not positive, so that its logarithm does not exist.
    """
    ratios = [other[block] / reference[block] for block in reference if block in other]
    if not ratios:
        return None
    ratio = geometric_mean(ratios)
    if ratio is None:
        raise ValueError("a ratio of values that are not positive cannot be compared on logarithms")
    if len(ratios) < MINIMUM_PAIRS:
        return PairedRatio(len(ratios), ratio, None, None)
    return PairedRatio(
        len(ratios), ratio, log_t_interval(ratios, confidence), _p_value_of_one(ratios)
    )


def _p_value_of_one(ratios: Sequence[float]) -> float:
    logarithms = [math.log(ratio) for ratio in ratios]
    error = stdev(logarithms) / math.sqrt(len(logarithms))
    if error == 0:
        return 1.0 if fmean(logarithms) == 0 else 0.0
    return float(2 * stats.t.sf(abs(fmean(logarithms)) / error, len(logarithms) - 1))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values, in the order given.

    Holm (1979), Scandinavian Journal of Statistics 6:65.
    """
    adjusted = [0.0] * len(p_values)
    running = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = running
    return adjusted
