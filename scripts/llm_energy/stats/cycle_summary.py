"""One metric of one experiment, summarised over its cycles."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

from .intervals import (
    CONFIDENCE,
    Interval,
    bca_interval,
    cycles_needed,
    cycles_needed_stein,
    geometric_mean,
    log_t_interval,
    standard_deviation,
    t_interval,
)

TARGET_RELATIVE_HALF_WIDTH = 0.02
"""The precision for which the number of cycles is worked out: ±2 % of the mean."""

MINIMUM_PILOT_CYCLES = 5
"""Below it the spread is too poorly known for a number of cycles to mean anything (at n = 3 the
95 % interval of the standard deviation spans a factor of 12)."""


@dataclass(frozen=True)
class CycleSummary:
    """Values are in the unit of the metric; None is 'not known at this n', never 0."""

    n: int
    mean: float
    median: float
    minimum: float
    maximum: float
    standard_deviation: float | None
    coefficient_of_variation: float | None
    """Standard deviation over the magnitude of the mean."""
    t_interval: Interval | None
    """For the mean."""
    relative_half_width: float | None
    """Half width of `t_interval` over the magnitude of the mean."""
    geometric_mean: float | None
    log_t_interval: Interval | None
    """For the geometric mean."""
    bca_interval: Interval | None
    """For the mean: a second opinion, from 10 cycles on."""
    cycles_needed: int | None
    """For ±2 %, taking the spread as known; from `MINIMUM_PILOT_CYCLES` cycles on."""
    cycles_needed_stein: int | None
    """For ±2 %, whatever the true spread is; from `MINIMUM_PILOT_CYCLES` cycles on."""


def summarise(values: Sequence[float], confidence: float = CONFIDENCE) -> CycleSummary:
    """Summarise one value per cycle.

    Raises:
        ValueError: there is no value.
    """
    if not values:
        raise ValueError("nothing to summarise: an experiment without values has no summary")
    n, mean = len(values), fmean(values)
    deviation = standard_deviation(values) if n > 1 else None
    interval = t_interval(values, confidence)
    pilot = n >= MINIMUM_PILOT_CYCLES
    target = TARGET_RELATIVE_HALF_WIDTH
    return CycleSummary(
        n=n,
        mean=mean,
        median=median(values),
        minimum=min(values),
        maximum=max(values),
        standard_deviation=deviation,
        coefficient_of_variation=_over(deviation, mean),
        t_interval=interval,
        relative_half_width=_over(interval.half_width if interval else None, mean),
        geometric_mean=geometric_mean(values),
        log_t_interval=log_t_interval(values, confidence),
        bca_interval=bca_interval(values, confidence),
        cycles_needed=cycles_needed(values, target, confidence) if pilot else None,
        cycles_needed_stein=cycles_needed_stein(values, target, confidence) if pilot else None,
    )


def _over(value: float | None, mean: float) -> float | None:
    return None if value is None or mean == 0 else value / abs(mean)
