"""Cycles that a precision needs."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from scipy import special

from llm_energy.stats.intervals import CONFIDENCE, standard_deviation, t_quantile


def cycles_needed(
    values: Sequence[float], relative_half_width: float, confidence: float = CONFIDENCE
) -> int | None:
    """Smallest n whose expected t interval is no wider than ± `relative_half_width` of the mean.

    n ≥ (t(n − 1) · s / d)², with s from the pilot `values` and the half width d. It takes s as
    known, so it is optimistic. None below two values or for a mean of 0. Montgomery, Design and
    Analysis of Experiments, section 2.4.
    """
    spread = _spread_over_half_width(values, relative_half_width)
    return None if spread is None else _smallest_n(spread, confidence)


def cycles_for(
    coefficient_of_variation: float, relative_half_width: float, confidence: float = CONFIDENCE
) -> int:
    """Smallest n of two or more with t(n − 1) · cv / √n ≤ `relative_half_width`."""
    return _smallest_n(coefficient_of_variation / relative_half_width, confidence)


def cycles_needed_stein(
    values: Sequence[float], relative_half_width: float, confidence: float = CONFIDENCE
) -> int | None:
    """n of Stein's two stages: guarantees the half width whatever the true spread is.

    n = max(n₀, ⌈(t(n₀ − 1) · s / d)²⌉), with n₀ and s of the pilot `values`. None below two values
    or for a mean of 0. Stein (1945), Annals of Mathematical Statistics 16:243.
    """
    spread = _spread_over_half_width(values, relative_half_width)
    if spread is None:
        return None
    pilot = len(values)
    return max(pilot, math.ceil((t_quantile(pilot - 1, confidence) * spread) ** 2))


def cycles_required(
    values: Sequence[float | None],
    target_relative_half_width: float,
    confidence: float = CONFIDENCE,
) -> int | None:
    """Cycles in all that `values`, one for each of the first cycles, require for the target.

    `cycles_needed_stein` of the cycles that have a value; those without are made up for. None where
    fewer than two have one: then nothing is known of the spread. Decided once, with no look in
    between: to stop at the first cycle whose interval is narrow enough would give intervals that
    cover the truth less often than they claim.

    Raises:
        ValueError: the target is not positive.
    """
    known = [value for value in values if value is not None]
    needed = cycles_needed_stein(known, target_relative_half_width, confidence)
    return None if needed is None else needed + len(values) - len(known)


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
    squares = sum((len(v) - 1) * (standard_deviation(v) / fmean(v)) ** 2 for v in known)
    tail = (1 - confidence) / 2
    low, high = (math.sqrt(squares / special.chdtri(degrees, p)) for p in (tail, 1 - tail))
    return PooledSpread(math.sqrt(squares / degrees), low, high, degrees, len(known))


def _spread_over_half_width(values: Sequence[float], relative_half_width: float) -> float | None:
    if relative_half_width <= 0:
        raise ValueError(f"relative_half_width must be positive, not {relative_half_width}")
    if len(values) < 2 or fmean(values) == 0:
        return None
    return standard_deviation(values) / (relative_half_width * abs(fmean(values)))


def _smallest_n(spread: float, confidence: float) -> int:
    # The normal quantile bounds t from below, so the search starts at most a few steps too low.
    n = max(2, math.ceil((t_quantile(math.inf, confidence) * spread) ** 2))
    while n < (t_quantile(n - 1, confidence) * spread) ** 2:
        n += 1
    return n
