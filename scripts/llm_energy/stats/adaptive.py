"""How many cycles a precision needs, decided once after the first ones, and the interval for it.

Two stages, and no look in between: to stop at the first cycle whose interval is narrow enough would
give intervals that cover the truth less often than they claim.
"""

import math
from collections.abc import Sequence
from statistics import fmean, stdev

from llm_energy.stats.intervals import CONFIDENCE, Interval, cycles_needed_stein, t_quantile


def cycles_asked(
    values: Sequence[float | None],
    target_relative_half_width: float,
    confidence: float = CONFIDENCE,
) -> int | None:
    """Cycles in all that `values`, one for each of the first cycles, ask for.

    N = ⌈(t(n₀ − 1) · cv / target)²⌉ and no fewer than there are, with n₀ and cv of the cycles that
    have a value; those without are made up for. None where fewer than two have one: then nothing
    is known of the spread. Stein (1945), Annals of Mathematical Statistics 16:243; the half width
    is relative to the mean of the first stage.

    Raises:
        ValueError: the target is not positive.
    """
    known = [value for value in values if value is not None]
    needed = cycles_needed_stein(known, target_relative_half_width, confidence)
    return None if needed is None else needed + len(values) - len(known)


def two_stage_interval(
    values: Sequence[float], first: int, confidence: float = CONFIDENCE
) -> Interval | None:
    """Stein's interval for the mean of all `values`, the `first` of which decided their number.

    mean ± t(n₀ − 1) · s₀ / √N, with the standard deviation of the first n₀ alone: that the others'
    number came from it is what makes the interval exact. None where the first are fewer than two.
    """
    if first < 2 or len(values) < first:
        return None
    half_width = t_quantile(first - 1, confidence) * stdev(values[:first]) / math.sqrt(len(values))
    centre = fmean(values)
    return Interval(centre - half_width, centre + half_width, confidence)
