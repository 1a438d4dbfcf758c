"""Energy of one interval as the integral of sampled power."""

import math
from dataclasses import dataclass
from itertools import pairwise

from llm_energy.power.series import Samples, sampling_period_s

MINIMUM_GAP_S = 0.5
"""Samples closer than this are never a gap: no steady load changes much in it."""

GAP_PERIODS = 3.0
"""A gap is longer than this many sampling periods and update periods: two lost samples in a row
are ordinary jitter, more are not."""

GAP_BOUND = 0.01
"""Largest share of the energy that gaps may hide before the integral is refused. Provisional."""


@dataclass(frozen=True)
class Amount:
    """Energy of one interval, or the reason code why it is not known."""

    joules: float | None = None
    reason: str | None = None
    edge_uncertainty_joules: float = 0.0
    """Standard uncertainty from not knowing the power between samples at the two edges."""
    gap_bound: float = 0.0
    """Largest relative error that gaps in the samples can have caused."""


def integrate(
    power: Samples, start_s: float, end_s: float, *, update_period_s: float | None
) -> Amount:
    """Integral of `power` (W) over [start, end] by the trapezoidal rule, edges interpolated.

    A sample is required on or outside of each edge. Gaps beyond `gap_limit_s` can hide at most
    their length × (maximum − minimum of the power seen); above `GAP_BOUND` of the integral that is
    `sampling_gap`. No device draws nothing: 0 J is a broken sensor, `no_power`.
    """
    if reason := power.uncovered(start_s, end_s):
        return Amount(reason=reason)
    inside = power.between(start_s, end_s)
    times = (start_s, *inside.times_s, end_s)
    values = (power.at(start_s), *inside.values, power.at(end_s))
    joules = math.fsum(
        (later - earlier) * (a + b) / 2
        for (earlier, later), (a, b) in zip(pairwise(times), pairwise(values), strict=True)
    )
    if joules <= 0.0:
        return Amount(reason="no_power")
    period_s = sampling_period_s(power.times_s) or 0.0
    limit_s = gap_limit_s(period_s, update_period_s)
    missing_s = math.fsum(
        min(later, end_s) - max(earlier, start_s)
        for earlier, later in pairwise(power.around(start_s, end_s).times_s)
        if later - earlier > limit_s
    )
    bound = missing_s * (max(values) - min(values)) / joules
    if bound > GAP_BOUND:
        return Amount(reason="sampling_gap", gap_bound=bound)
    lag_s = max(period_s, update_period_s or 0.0)
    edges = math.hypot(*(edge_uncertainty(power, edge_s, lag_s) for edge_s in (start_s, end_s)))
    return Amount(joules, edge_uncertainty_joules=edges, gap_bound=bound)


def gap_limit_s(sampling_period_s: float, update_period_s: float | None) -> float:
    """How far apart two samples may lie before the time between them is a gap."""
    return max(
        GAP_PERIODS * sampling_period_s, GAP_PERIODS * (update_period_s or 0.0), MINIMUM_GAP_S
    )


def edge_uncertainty(power: Samples, edge_s: float, lag_s: float) -> float:
    """Standard uncertainty in J at one edge of an interval: what happened there may belong up to
    `lag_s` earlier, evenly likely, and then counts with the wrong power of those seen around it.
    """
    near = power.around(edge_s - lag_s, edge_s + lag_s).values
    return lag_s * (max(near) - min(near)) / math.sqrt(12.0)
