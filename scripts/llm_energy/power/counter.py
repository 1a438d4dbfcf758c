"""Energy of one interval as the difference of an energy counter."""

import math
from itertools import pairwise

from llm_energy.power.integration import Amount, edge_uncertainty
from llm_energy.power.series import Samples, sampling_period_s

STAMP_SLACK_S = 0.1
"""How much longer than by their stamps two readings may lie apart on a busy machine."""

LATE_UPDATES = 3.0
"""Updates of a counter that may come late, all at once. Provisional."""


def unwrapped(
    counter: Samples, range_joules: float | None, *, power_bound_watts: float = math.inf
) -> Samples:
    """The counter without its wraps: where it falls, it may have passed `range_joules` once.

    A fall is a wrap only if the device can have drawn what the wrap implies. Otherwise, and with no
    range, it is a reset and stays in; `counter_energy` refuses an interval with one.
    """
    if range_joules is None:
        return counter
    values, passed = list(counter.values[:1]), 0.0
    for (t0, earlier), (t1, later) in _steps(counter):
        implied_joules = range_joules + later - earlier
        if later < earlier and implied_joules <= power_bound_watts * (t1 - t0 + STAMP_SLACK_S):
            passed += range_joules
        values.append(later + passed)
    return Samples(counter.times_s, tuple(values), counter.read_s)


def counter_energy(
    counter: Samples,
    start_s: float,
    end_s: float,
    *,
    update_period_s: float | None,
    power_bound_watts: float = math.inf,
    range_joules: float | None = None,
) -> Amount:
    """Difference of an unwrapped counter (J) over [start, end], both edges interpolated.

    Gaps between samples cost nothing, unless the counter could have wrapped twice in one. Two
    things are not known at the edges. The counter is a staircase: its last step lies up to one
    update period back, evenly likely, and the difference of two such lags (triangular, σ = update
    period / √6) counts with the mean power. And where the counter moves faster than it is read,
    power may change between two readings.
    """
    if reason := counter.uncovered(start_s, end_s):
        return Amount(reason=reason)
    slack_s = STAMP_SLACK_S + LATE_UPDATES * (update_period_s or 0.0)
    for (t0, earlier), (t1, later) in _steps(counter.around(start_s, end_s)):
        if later < earlier:
            return Amount(reason="counter_reset")
        if later - earlier > power_bound_watts * (t1 - t0 + slack_s):
            return Amount(reason="counter_jumped")
        if range_joules is not None and power_bound_watts * (t1 - t0) > range_joules:
            return Amount(reason="sampling_gap")
    joules = counter.at(end_s) - counter.at(start_s)
    if joules == 0.0 or update_period_s is None:
        return Amount(reason="counter_stuck")
    edges = [update_period_s * joules / (end_s - start_s) / math.sqrt(6.0)]
    period_s = sampling_period_s(counter.times_s)
    if period_s is not None and update_period_s < period_s / 2:
        powers = interval_powers(counter)
        edges += [edge_uncertainty(powers, edge_s, period_s) for edge_s in (start_s, end_s)]
    return Amount(joules, edge_uncertainty_joules=math.hypot(*edges))


def interval_powers(counter: Samples) -> Samples:
    """Mean power between successive readings of an unwrapped counter, stamped in their middle."""
    steps = _steps(counter)
    return Samples(
        tuple((t0 + t1) / 2 for (t0, _), (t1, _) in steps),
        tuple((v1 - v0) / (t1 - t0) for (t0, v0), (t1, v1) in steps),
    )


def _steps(counter: Samples) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    return list(pairwise(zip(counter.times_s, counter.values, strict=True)))
