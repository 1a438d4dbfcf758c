"""Intervals for what is repeated over cycles: pure functions over plain numbers.

The cycle is the unit of replication, never the request, the token or the sample. Two estimands
are kept apart: the mean, with Student's t interval, and the geometric mean, with the t interval of
the logarithms carried back. With one value there is a value and no interval.
"""

import math
from collections.abc import Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import fmean
from typing import Any

import numpy as np
from scipy import special

from llm_energy.stats.device_spread import device_spread

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
    """Sample standard deviation of two values or more, over n − 1: the float next to it."""
    return _standard_deviation(tuple(values))


@lru_cache(maxsize=64)
def _standard_deviation(values: tuple[float, ...]) -> float:
    """The same, cached: the intervals and tests of one experiment need it many times in a row."""
    over, under = _variance(values)
    if over == 0:
        return 0.0
    # The integer root of 110 bits, odd where it is not exact, rounds as the root itself does.
    shift = (over.bit_length() - under.bit_length() - 109) // 2
    over, under = (over, under << 2 * shift) if shift >= 0 else (over << -2 * shift, under)
    root = math.isqrt(over // under)
    root |= root * root * under != over
    return float(root << shift) if shift >= 0 else root / (1 << -shift)


def variance(values: Sequence[float]) -> float:
    """Sample variance of two values or more, over n − 1: the float next to it."""
    over, under = _variance(values)
    return over / under


def _variance(values: Sequence[float]) -> tuple[int, int]:
    """Return the exact variance as a fraction, of whole numbers: `statistics`, which does it with
    fractions, takes several times as long."""
    parts = [float(value).as_integer_ratio() for value in values]
    scale = max(under for _, under in parts)  # a power of two, as all are
    whole = [over * (scale // under) for over, under in parts]
    n = len(whole)
    return n * sum(w * w for w in whole) - sum(whole) ** 2, n * (n - 1) * scale**2


@lru_cache(maxsize=4096)
def t_quantile(degrees_of_freedom: float, confidence: float = CONFIDENCE) -> float:
    """Two-sided quantile of Student's t; infinitely many degrees of freedom give the normal's."""
    return float(special.stdtrit(degrees_of_freedom, (1 + confidence) / 2))


def t_interval(
    values: Sequence[float],
    confidence: float = CONFIDENCE,
    *,
    pilot: Sequence[float] | None = None,
    devices: Sequence[Hashable] | None = None,
) -> Interval | None:
    """Student's t interval for the mean; None where the spread of fewer than two values is known.

    mean ± t(n − 1) · s / √n. Student (1908), Biometrika 6:1; NIST/SEMATECH e-Handbook 1.3.5.2.

    Args:
        pilot: those of the values that decided how many there are. Then the interval is Stein's,
            mean ± t(n₀ − 1) · s₀ / √n with s₀ of the pilot alone: an ordinary one takes n as given.
            Stein (1945), Annals of Mathematical Statistics 16:243. A pilot of one value alone, as
            shares of 100 % give, shows no spread: then that of all values counts.
        devices: the device that each value is of. Where devices differ by more than their cycles
            do, the interval holds their spread too (`device_spread`); it never becomes narrower.
    """
    errors = _errors(values, pilot, devices)
    if not errors:
        return None
    half_width = max(t_quantile(degrees, confidence) * error for error, degrees in errors)
    centre = fmean(values)
    return Interval(centre - half_width, centre + half_width, confidence)


def standard_error(
    values: Sequence[float],
    *,
    pilot: Sequence[float] | None = None,
    devices: Sequence[Hashable] | None = None,
) -> float | None:
    """Standard uncertainty of the mean, with `pilot` and `devices` as in `t_interval`: s/√n, or
    with the spread between devices, if that is more.

    None where the spread of fewer than two values is known.
    """
    return max((error for error, _ in _errors(values, pilot, devices)), default=None)


def _errors(
    values: Sequence[float],
    pilot: Sequence[float] | None,
    devices: Sequence[Hashable] | None,
) -> list[tuple[float, float]]:
    """Return (standard uncertainty of the mean, degrees of freedom), without and with the spread
    between devices as far as each is known."""
    known = values if pilot is None or of_one_value(pilot) else pilot
    if len(known) < 2:
        return []
    found = [(standard_deviation(known) / math.sqrt(len(values)), float(len(known) - 1))]
    if devices is not None and pilot is None and (spread := device_spread(values, devices)):
        found.append((spread.standard_error, spread.degrees_of_freedom))
    return found


def of_one_value(pilot: Collection[float]) -> bool:
    """Return True where all of two or more values are equal: they show no spread."""
    return len(pilot) > 1 and len(set(pilot)) == 1


def known_mean(values: Iterable[float | None]) -> float | None:
    """Arithmetic mean of the values that are known; None where none is."""
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def geometric_mean(values: Sequence[float]) -> float | None:
    """exp(mean of logarithms); None where a value is not positive or there is none."""
    if not values or min(values) <= 0:
        return None
    return math.exp(fmean(math.log(value) for value in values))


def log_t_interval(
    values: Sequence[float],
    confidence: float = CONFIDENCE,
    *,
    pilot: Sequence[float] | None = None,
    devices: Sequence[Hashable] | None = None,
) -> Interval | None:
    """Interval for the geometric mean (for log-normal values: the median), never for the mean.

    The t interval of the logarithms, carried back by exp, with the same `pilot` and `devices`. None
    where there is no t interval, or where a value is not positive. Limpert, Stahel and Abbt (2001),
    BioScience 51:341.
    """
    if not values or min(values) <= 0:
        return None
    logarithms = [math.log(value) for value in values]
    first = None if pilot is None else [math.log(value) for value in pilot]
    found = t_interval(logarithms, confidence, pilot=first, devices=devices)
    return found and Interval(math.exp(found.low), math.exp(found.high), confidence)


BOOTSTRAP_MINIMUM = 30
"""Least number of values for a bootstrap: below it, intervals cover less than 93 % on normal data
(see benchmarks/coverage.py)."""

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
    """Repeatability and the limits of the sensor together."""

    standard_uncertainty: float
    """u_c, in the unit of the mean."""
    interval: Interval


def total_uncertainty(
    values: Sequence[float],
    *,
    limits: Sequence[float] | None,
    confidence: float = CONFIDENCE,
    pilot: Sequence[float] | None = None,
    devices: Sequence[Hashable] | None = None,
) -> TotalUncertainty | None:
    """Combine the spread over cycles with errors of a sensor that are known within ± `limits`.

    U = √(U_A² + a²), with the half width U_A of `t_interval` and the sum a of the limits times the
    mean: ANSI/ASME PTC 19.1; Abernethy, Benedict and Dowdell (1985), Journal of Fluids Engineering
    107:161. The errors are common to all cycles, so that they are no part of s and are not divided
    by √n. Their limits add because both may be at their ends at once. A wider limit never gives a
    narrower interval; degrees of freedom by Welch-Satterthwaite do at n = 3
    (`benchmarks/coverage.py`). The combined standard uncertainty is that of the GUM (JCGM 100:2008,
    4.3.7 and 5.1.2), u_c = √(s²/n + m²·Σa²/3). None without limits, or without a t interval.

    Args:
        limits: relative to the mean, one for each error.
        pilot: as in `t_interval`.
        devices: likewise.
    """
    if limits is None:
        return None
    repeatability = t_interval(values, confidence, pilot=pilot, devices=devices)
    error = standard_error(values, pilot=pilot, devices=devices)
    if repeatability is None or error is None:
        return None
    mean = fmean(values)
    half_width = math.hypot(repeatability.half_width, math.fsum(limits) * mean)
    return TotalUncertainty(
        math.hypot(error, *(limit / math.sqrt(3) * mean for limit in limits)),
        Interval(mean - half_width, mean + half_width, confidence),
    )
