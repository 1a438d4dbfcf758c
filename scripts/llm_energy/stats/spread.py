"""The spread between cycles, pooled over experiments, and the cycles that it would take."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from scipy import special

from llm_energy.stats.intervals import CONFIDENCE, t_quantile


@dataclass(frozen=True)
class PooledSpread:
    """A coefficient of variation that experiments have in common."""

    value: float
    low: float
    """Lower end of its 95 % interval."""
    high: float
    degrees_of_freedom: int
    experiments: int


def pooled_spread(
    experiments: Iterable[Sequence[float]], confidence: float = CONFIDENCE
) -> PooledSpread | None:
    """Pool the relative spread of experiments that have two values or more; None without any.

    cv² is the mean of the experiments' own, weighted by their degrees of freedom ν; its interval
    is ν·cv²/χ² (NIST/SEMATECH e-Handbook 7.2.3.1), as if all experiments spread alike.
    """
    known = [values for values in experiments if len(values) > 1 and fmean(values) != 0]
    degrees = sum(len(values) - 1 for values in known)
    if degrees == 0:
        return None
    squares = sum((len(v) - 1) * (stdev(v) / fmean(v)) ** 2 for v in known)
    tail = (1 - confidence) / 2
    low, high = (math.sqrt(squares / special.chdtri(degrees, p)) for p in (tail, 1 - tail))
    return PooledSpread(math.sqrt(squares / degrees), low, high, degrees, len(known))


def cycles_for(
    coefficient_of_variation: float, relative_half_width: float, confidence: float = CONFIDENCE
) -> int:
    """Smallest n of two or more with t(n − 1) · cv / √n ≤ `relative_half_width`."""
    spread = coefficient_of_variation / relative_half_width
    n = max(2, math.ceil((t_quantile(math.inf, confidence) * spread) ** 2))
    while n < (t_quantile(n - 1, confidence) * spread) ** 2:
        n += 1
    return n
