"""Energy of one interval as the integral of sampled power, and what the samples do not show."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from llm_energy.power.power_range import ANY_POWER, PowerRange
from llm_energy.power.series import Samples, sampling_period_s

MINIMUM_GAP_S = 0.5
"""Samples closer than this are never a gap: no steady load changes much in it."""

GAP_PERIODS = 3.0
"""A gap is longer than this many sampling periods: two lost samples in a row are ordinary jitter,
more are not."""

GAP_BOUND = 0.05
"""Largest share of the energy that gaps may hide before the integral is refused: no more than the
limit of a sensor's gain. Provisional."""


@dataclass(frozen=True)
class Amount:
    """Energy of one interval, or the reason code why it is not known."""

    joules: float | None = None
    reason: str | None = None
    edge_uncertainty_joules: float = 0.0
    """Standard uncertainty from not knowing the power between samples at the two edges."""
    sampling_uncertainty_joules: float = 0.0
    """Standard uncertainty from not knowing the power between all other samples."""
    gap_bound: float = 0.0
    """Largest relative error that gaps in the samples can have caused."""

    @property
    def gap_uncertainty_joules(self) -> float:
        """Standard uncertainty from gaps: any error within their bound is equally likely."""
        return self.gap_bound * (self.joules or 0.0) / math.sqrt(3.0)

    @property
    def uncertainty_joules(self) -> float:
        """Standard uncertainty from all that no reading shows."""
        return math.hypot(
            self.edge_uncertainty_joules,
            self.sampling_uncertainty_joules,
            self.gap_uncertainty_joules,
        )


def integrate(
    power: Samples,
    start_s: float,
    end_s: float,
    *,
    update_period_s: float | None,
    possible: PowerRange = ANY_POWER,
) -> Amount:
    """Integral of `power` (W) over [start, end] by the trapezoidal rule, edges interpolated.

    A sample is required on or outside of each edge. In a gap beyond `gap_limit_s` the device can
    have drawn any `possible` power; if that is more than `GAP_BOUND` of the integral off, the
    reason is `sampling_gap`. No device draws nothing: 0 J is a broken sensor, `no_power`.
    """
    if reason := power.uncovered(start_s, end_s):
        return Amount(reason=reason)
    joules = _trapezoids_joules(power, start_s, end_s)
    if joules <= 0.0:
        return Amount(reason="no_power")
    period_s, update_s = sampling_period_s(power.times_s) or 0.0, update_period_s or 0.0
    limit_s = gap_limit_s(period_s)
    bound = _gaps_joules(power, start_s, end_s, limit_s, possible) / joules
    if bound > GAP_BOUND:
        return Amount(reason="sampling_gap", gap_bound=bound)
    lag_s = max(period_s, update_s)
    return Amount(
        joules,
        edge_uncertainty_joules=math.hypot(
            *(edge_uncertainty(power, edge_s, lag_s) for edge_s in (start_s, end_s))
        ),
        sampling_uncertainty_joules=sampling_uncertainty(
            power.around(start_s, end_s), update_s, limit_s
        ),
        gap_bound=bound,
    )


def integrate_parts(
    power: Samples, parts: Sequence[tuple[float, float]], *, possible: PowerRange = ANY_POWER
) -> float | None:
    """Integral of `power` (W) over all `parts` of an interval that `integrate` has accepted, in J.

    None where gaps can hide more than `GAP_BOUND` of the sum. They are judged by the sum, because
    a short part may lie wholly in one.
    """
    joules = math.fsum(_trapezoids_joules(power, *part) for part in parts)
    limit_s = gap_limit_s(sampling_period_s(power.times_s) or 0.0)
    hidden = math.fsum(_gaps_joules(power, *part, limit_s, possible) for part in parts)
    return None if hidden > GAP_BOUND * joules else joules


def gap_limit_s(sampling_period_s: float) -> float:
    """How far apart two samples may lie before the time between them is a gap.

    The observed update period does not count: power that does not change makes it long.
    """
    return max(GAP_PERIODS * sampling_period_s, MINIMUM_GAP_S)


def edge_uncertainty(power: Samples, edge_s: float, lag_s: float) -> float:
    """Standard uncertainty in J at one edge of an interval: what happened there may belong up to
    `lag_s` earlier, evenly likely, and then counts with the wrong power of those seen around it.

    Samples that lie further apart at the edge, or took a time to read, make it longer.
    """
    beside = power.around(edge_s, edge_s)
    lag_s = max(lag_s, beside.times_s[-1] - beside.times_s[0])
    near = power.around(edge_s - lag_s, edge_s + lag_s).values
    off_s = math.hypot(lag_s / math.sqrt(12.0), power.stamp_limit_s(edge_s) / math.sqrt(3.0))
    return off_s * (max(near) - min(near))


def sampling_uncertainty(power: Samples, update_s: float, gap_limit_s: float) -> float:
    """Standard uncertainty in J of an integral from the roughness of its samples.

    Half of the mean square of successive differences is the variance of a single sample (von
    Neumann, Annals of Mathematical Statistics 12, 1941), which stands for the time until the next
    one, and until the sensor updates: u² = Σ δ² (p₂ - p₁)² / 2. It is exact where samples do not
    depend on each other, and too large by up to √6 where power moves in steps longer than δ. Power
    that changes in time with the samples is not seen. Gaps count on their own.
    """
    return math.sqrt(
        math.fsum(
            (max(later - earlier, update_s) * (b - a)) ** 2 / 2.0
            for (earlier, later), (a, b) in zip(
                pairwise(power.times_s), pairwise(power.values), strict=True
            )
            if later - earlier <= gap_limit_s
        )
    )


def _trapezoids_joules(power: Samples, start_s: float, end_s: float) -> float:
    """Integral of straight lines between samples, over an interval that they cover."""
    inside = power.between(start_s, end_s)
    times = (start_s, *inside.times_s, end_s)
    values = (power.at(start_s), *inside.values, power.at(end_s))
    return math.fsum(
        (later - earlier) * (a + b) / 2
        for (earlier, later), (a, b) in zip(pairwise(times), pairwise(values), strict=True)
    )


def _gaps_joules(
    power: Samples, start_s: float, end_s: float, limit_s: float, possible: PowerRange
) -> float:
    """The largest error of straight lines over the gaps inside [start, end]."""
    gaps = [
        (max(earlier, start_s), min(later, end_s))
        for earlier, later in pairwise(power.around(start_s, end_s).times_s)
        if later - earlier > limit_s
    ]
    return math.fsum(
        possible.guess_limit_joules(b - a, (power.at(a) + power.at(b)) / 2) for a, b in gaps
    )
