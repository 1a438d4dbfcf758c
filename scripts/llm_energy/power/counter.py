"""Energy of one interval as the difference of an energy counter."""

import math

from llm_energy.power.counter_edges import counter_edges
from llm_energy.power.integration import Amount, gap_limit_s
from llm_energy.power.power_range import ANY_POWER, PowerRange
from llm_energy.power.series import NO_SAMPLES, Samples, sampling_period_s

STAMP_SLACK_S = 0.1
"""How much longer than by their stamps two readings may lie apart on a busy machine."""

STILL_S = 1.0
"""How much longer than late updates explain a counter may stand still: every device draws power.
Provisional."""

LATE_UPDATES = 3.0
"""Updates of a counter that may come late, all at once. Provisional."""


def unwrapped(
    counter: Samples, range_joules: float | None, *, power_bound_watts: float = math.inf
) -> Samples:
    """The counter without its wraps: where it falls, it may have passed `range_joules` once.

    A fall is a wrap only if the device can have drawn what the wrap implies. Otherwise, with no
    range, and in a gap, where a reset implies hardly more, it stays in as a reset;
    `counter_energy` refuses an interval with one.
    """
    if range_joules is None:
        return counter
    longest_s = gap_limit_s(sampling_period_s(counter.times_s) or 0.0)
    values, passed = list(counter.values[:1]), 0.0
    for (t0, earlier), (t1, later) in counter.steps():
        wrapped_joules = range_joules + later - earlier
        possible_joules = power_bound_watts * (t1 - t0 + STAMP_SLACK_S)
        if later < earlier and wrapped_joules <= possible_joules and t1 - t0 <= longest_s:
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
    power: Samples = NO_SAMPLES,
    possible: PowerRange = ANY_POWER,
) -> Amount:
    """Difference of an unwrapped counter (J) over [start, end], both edges interpolated.

    Gaps between samples cost nothing, unless the counter could have wrapped twice in one, or an
    edge lies in it. `power` and `possible` tell what is not known at the edges (see
    `counter_edges.py`).
    """
    if reason := counter.uncovered(start_s, end_s):
        return Amount(reason=reason)
    slack_s = STAMP_SLACK_S + LATE_UPDATES * (update_period_s or 0.0)
    for (t0, earlier), (t1, later) in counter.around(start_s, end_s).steps():
        if later < earlier:
            return Amount(reason="counter_reset")
        if later - earlier > power_bound_watts * (t1 - t0 + slack_s):
            return Amount(reason="counter_jumped")
        if range_joules is not None and power_bound_watts * (t1 - t0) > range_joules:
            return Amount(reason="sampling_gap")
    joules = counter.at(end_s) - counter.at(start_s)
    if (
        joules == 0.0
        or _stood_s(counter.around(start_s, end_s)) > slack_s + STILL_S
        or update_period_s is None
    ):
        return Amount(reason="counter_stuck")
    edges = counter_edges(
        counter,
        start_s,
        end_s,
        update_s=update_period_s,
        power=power,
        possible=possible,
        power_bound_watts=power_bound_watts,
    )
    return Amount(joules, edge_uncertainty_joules=edges)


def _stood_s(counter: Samples) -> float:
    """Return the longest time in s between readings of one value."""
    since_s, longest_s = counter.times_s[0], 0.0
    for (_, earlier), (time_s, later) in counter.steps():
        since_s = since_s if later == earlier else time_s
        longest_s = max(longest_s, time_s - since_s)
    return longest_s
