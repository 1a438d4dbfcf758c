"""Intervals for what is repeated over cycles: pure functions over plain numbers.

The cycle is the unit of replication, never the request, the token or the sample. Two estimands
are kept apart: the mean, with Student's t interval, and the geometric mean, with the t interval of
the logarithms carried back. With one value there is a value and no interval.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import fmean, stdev
from typing import Any

import numpy as np
from scipy import special

CONFIDENCE = 0.95
"""Default two-sided confidence of every interval."""


@dataclass(frozen=True)
class Interval:
    """A two-sided confidence interval, in the unit of the values it was made from."""

    low: float
    high: float
    confidence: float = CONFIDENCE

    @property
    def half_width(self) -> float:
        return (self.high - self.low) / 2


def ends(interval: Interval | None, form: str = "{}") -> dict[str, Any]:
    """Both ends of an interval under their names, None where there is no interval.

    Args:
        form: of the names, such as `t_{}` for `t_low` and `t_high`.
    """
    return {form.format(end): getattr(interval, end, None) for end in ("low", "high")}


def standard_deviation(values: Sequence[float]) -> float:
    """Sample standard deviation of two values or more, over n − 1."""
    return _standard_deviation(tuple(values))


@lru_cache(maxsize=16)
def _standard_deviation(values: tuple[float, ...]) -> float:
    """Cached: `statistics` computes it exactly, which takes long, and each interval and test needs
    it again."""
    return stdev(values)


@lru_cache(maxsize=4096)
def t_quantile(degrees_of_freedom: float, confidence: float = CONFIDENCE) -> float:
    """Two-sided quantile of Student's t; infinitely many degrees of freedom give the normal's."""
    return float(special.stdtrit(degrees_of_freedom, (1 + confidence) / 2))


def t_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> Interval | None:
    """Student's t interval for the mean; None below two values.

    mean ± t(n − 1) · s / √n. Student (1908), Biometrika 6:1; NIST/SEMATECH e-Handbook 1.3.5.2.
    """
    if len(values) < 2:
        return None
    centre, deviation = fmean(values), standard_deviation(values)
    half_width = t_quantile(len(values) - 1, confidence) * deviation / math.sqrt(len(values))
    return Interval(centre - half_width, centre + half_width, confidence)


def known_mean(values: Iterable[float | None]) -> float | None:
    """Arithmetic mean of the values that are known; None where none is."""
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def geometric_mean(values: Sequence[float]) -> float | None:
    """exp(mean of logarithms); None where a value is not positive or there is none."""
    if not values or min(values) <= 0:
        return None
    return math.exp(fmean(math.log(value) for value in values))


def log_t_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> Interval | None:
    """Interval for the geometric mean (for log-normal values: the median), never for the mean.

    The t interval of the logarithms, carried back by exp. None below two values or where one is
    not positive. Limpert, Stahel and Abbt (2001), BioScience 51:341.
    """
    if len(values) < 2 or min(values) <= 0:
        return None
    logarithms = t_interval([math.log(value) for value in values], confidence)
    assert logarithms is not None
    return Interval(math.exp(logarithms.low), math.exp(logarithms.high), confidence)


BOOTSTRAP_MINIMUM = 10
"""Least number of values for a bootstrap: below it resamples hold too few different values, and its
intervals are too short (see benchmarks/coverage.py)."""

BOOTSTRAP_RESAMPLES = 4999
BOOTSTRAP_SEED = 2026
"""Equal values give equal intervals."""


def bca_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> Interval | None:
    """Bias-corrected and accelerated bootstrap interval for the mean, as a second opinion.

    None below `BOOTSTRAP_MINIMUM` values, or where all are equal. Efron (1987), Journal of the
    American Statistical Association 82:171, as scipy computes it.
    """
    if len(values) < BOOTSTRAP_MINIMUM or standard_deviation(values) == 0:
        return None
    from scipy import stats  # takes seconds to load, which deciding on cycles need not wait for

    found = stats.bootstrap(
        (np.asarray(values, dtype=float),),
        np.mean,
        n_resamples=BOOTSTRAP_RESAMPLES,
        confidence_level=confidence,
        method="BCa",
        rng=np.random.default_rng(BOOTSTRAP_SEED),
    ).confidence_interval
    return Interval(float(found.low), float(found.high), confidence)


@dataclass(frozen=True)
class TotalUncertainty:
    """Repeatability and sensor gain together."""

    standard_uncertainty: float
    """u_c, in the unit of the mean."""
    degrees_of_freedom: float
    interval: Interval


def total_uncertainty(
    values: Sequence[float], *, gain_limit: float | None, confidence: float = CONFIDENCE
) -> TotalUncertainty | None:
    """Combine the spread over cycles with a sensor gain that is known within ± `gain_limit`.

    u_c = √(s²/n + g²·m²) with g = a/√3 (rectangular). The gain is common to all cycles: it is no
    part of s and is not divided by √n. Welch-Satterthwaite gives the degrees of freedom, the gain
    having infinitely many. None below two cycles, or without a limit. GUM (JCGM 100:2008), 4.3.7,
    5.1.2 and G.4.1.
    """
    n = len(values)
    if n < 2 or gain_limit is None:
        return None
    mean, repeatability = fmean(values), standard_deviation(values) / math.sqrt(n)
    gain = gain_limit / math.sqrt(3) * abs(mean)
    combined = math.hypot(repeatability, gain)
    degrees = math.inf if repeatability == 0 else (n - 1) * (combined / repeatability) ** 4
    half_width = t_quantile(degrees, confidence) * combined
    return TotalUncertainty(
        combined, degrees, Interval(mean - half_width, mean + half_width, confidence)
    )
