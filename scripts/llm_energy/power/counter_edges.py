"""The uncertainty of a counter's energy from the two edges of an interval."""

import math
from itertools import pairwise
from statistics import fmean

from llm_energy.power.integration import MINIMUM_GAP_S
from llm_energy.power.power_range import PowerRange
from llm_energy.power.series import Samples, sampling_period_s

SPAN_UPDATES = 5.0
"""Updates between two readings from which power is taken: one more or less is a fifth of it."""


def interval_powers(
    counter: Samples, least_s: float = 0.0, *, bound_watts: float = math.inf
) -> Samples:
    """Mean power between successive readings of an unwrapped counter, stamped in their middle.

    Args:
        least_s: readings that follow each other faster are left out.
        bound_watts: power that no device draws, by a reset or a jump, is left out above this and
            below 0.
    """
    kept = list(zip(counter.times_s[:1], counter.values, strict=False))
    for point in zip(counter.times_s[1:], counter.values[1:], strict=True):
        if point[0] - kept[-1][0] >= least_s:
            kept.append(point)
    powers = [
        ((t0 + t1) / 2, watts)
        for (t0, v0), (t1, v1) in pairwise(kept)
        if 0.0 <= (watts := (v1 - v0) / (t1 - t0)) <= bound_watts
    ]
    return Samples(tuple(time_s for time_s, _ in powers), tuple(watts for _, watts in powers))


def resolved_powers(counter: Samples, update_s: float, *, bound_watts: float) -> Samples:
    """Mean power between readings so far apart that single updates of the counter hardly count."""
    return interval_powers(counter, SPAN_UPDATES * update_s, bound_watts=bound_watts)


def counter_edges(
    counter: Samples,
    start_s: float,
    end_s: float,
    *,
    update_s: float,
    power: Samples,
    possible: PowerRange,
    power_bound_watts: float,
) -> float:
    """Standard uncertainty in J of a counter's difference over [start, end], in which it was
    neither reset nor jumped; what it did beside it is no power.

    Three things are not known, independent of each other: when the counter was updated last, how
    power was spread between the two readings around an edge, and when exactly these were taken.

    Args:
        power: samples of power beside the counter; may be none.
        possible: power that the device can have drawn between readings that lie far apart.
        power_bound_watts: more than it can draw at all.
    """
    period_s = sampling_period_s(counter.times_s) or 0.0
    wide = (start_s - period_s - update_s, end_s + period_s + update_s)
    counted = resolved_powers(counter.around(*wide), update_s, bound_watts=power_bound_watts)
    mean_watts = (counter.at(end_s) - counter.at(start_s)) / (end_s - start_s)
    beside = power.around(*wide).values
    seen = PowerRange.of([mean_watts, *counted.values, *beside])
    parts = [update_uncertainty(seen, update_s)]
    slow = update_s < period_s / 2
    rough_joules = roughness(counter.around(start_s, end_s)) if slow else 0.0
    for edge_s in (start_s, end_s):
        parts.append(seen.high_watts * counter.stamp_limit_s(edge_s) / math.sqrt(3.0))
        for (t0, v0), (t1, v1) in counter.around(edge_s, edge_s).steps():
            drawn = seen if t1 - t0 <= MINIMUM_GAP_S else possible
            limit_joules = drawn.line_limit_joules(t1 - t0, (v1 - v0) / (t1 - t0))
            parts.append(max(limit_joules / math.sqrt(3.0), rough_joules))
    return math.hypot(*parts)


def update_uncertainty(seen: PowerRange, update_s: float) -> float:
    """Standard uncertainty in J of the difference of a staircase whose last steps lie up to one
    update period back, evenly likely, at powers within the range.

    Root of the mean square error: with powers h and l at the two edges, the variance of both lags
    is U² (h² + l²)/12, and their means differ by U (h - l)/2. Equal powers at the edges leave
    U² h²/6. The larger counts.
    """
    high, low = seen.high_watts, seen.low_watts
    unlike = (high**2 + low**2) / 12.0 + (high - low) ** 2 / 4.0
    return update_s * math.sqrt(max(high**2 / 6.0, unlike))


def roughness(counter: Samples) -> float:
    """Root mean square distance in J of readings from the straight line between their neighbours:
    how far energy strays between two readings, as far as the readings themselves show it."""
    triples = pairwise(counter.steps())
    squares = [
        (v1 - v0 - (v2 - v0) * (t1 - t0) / (t2 - t0)) ** 2
        for ((t0, v0), (t1, v1)), (_, (t2, v2)) in triples
    ]
    return math.sqrt(fmean(squares)) if squares else 0.0
