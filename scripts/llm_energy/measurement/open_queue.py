"""The queue of an open load over time: how it grows, what is in flight, and when nothing is."""

import math
import statistics
from collections.abc import Iterable, Sequence
from itertools import pairwise

from llm_energy.measurement.open_requests import Request, Span, arrived
from llm_energy.results.open_load import SATURATED, STABLE, UNDECIDED, Saturation

LEAST_ARRIVALS = 30
"""Fewer tell nothing of saturation: three standard errors of their number are half of it."""

LEAST_IN_A_THIRD = 5
"""First tokens in a third of the window whose median is compared."""

GROWTH = 2.0
"""Growth of the median time to first token, from first to last third, beyond which a queue that
keeps up is undecided: a stable one shows it by chance, the more often the nearer its capacity."""


def excess(requests: Iterable[Request], span: Span) -> int:
    """Return arrivals less ends inside the window, of whichever requests."""
    requests = list(requests)
    start, end = span
    ends = sum(1 for r in requests if r["ended"] is not None and start <= r["ended"] <= end)
    return len(arrived(requests, span)) - ends


def first_token_growth(requests: Iterable[Request], span: Span) -> float | None:
    """Return the median time to first token of the last third of arrivals over that of the first.

    A request without a first token waits for ever. None where a third has too few requests.
    """
    start, end = span
    third = (end - start) / 3.0
    medians = []
    for piece in ((start, start + third), (end - third, end)):
        own = arrived(requests, piece)
        if len(own) < LEAST_IN_A_THIRD:
            return None
        waited = [
            r["token_times"][0] - r["scheduled"] if r["token_times"] else math.inf for r in own
        ]
        medians.append(statistics.median(waited))
    first, last = medians
    return last / first if math.isfinite(last) and first > 0.0 else None


def excess_limit(arrivals: int) -> float:
    """Return the excess of arrivals over ends from which on the queue grows beyond chance."""
    return max(3.0 * math.sqrt(arrivals), 0.05 * arrivals)


def saturation(requests: Sequence[Request], span: Span) -> Saturation:
    """Return the verdict on the growth of the queue inside the window."""
    arrivals = len(arrived(requests, span))
    growth = first_token_growth(requests, span)
    if excess(requests, span) > excess_limit(arrivals):
        return SATURATED
    known = arrivals >= LEAST_ARRIVALS and growth is not None and growth <= GROWTH
    return STABLE if known else UNDECIDED


def idle_spans(requests: Iterable[Request], span: Span) -> list[Span]:
    """Return the stretches of the window without a request in flight."""
    start, end = span
    busy = sorted((r["submitted"], end if r["ended"] is None else r["ended"]) for r in requests)
    found, free_since = [], start
    for begun, ended in busy:
        if begun > free_since:
            found.append((free_since, min(begun, end)))
        free_since = max(free_since, ended)
        if free_since >= end:
            return found
    return [*found, (free_since, end)]


def mean_number(spans: Iterable[Span], edges: Sequence[float]) -> list[float]:
    """Return how many spans lie over each piece between edges, on average over its time."""
    totals = [0.0] * (len(edges) - 1)
    width = (edges[-1] - edges[0]) / len(totals)
    for begun, ended in spans:
        low, high = max(begun, edges[0]), min(ended, edges[-1])
        if high <= low:
            continue
        first = min(int((low - edges[0]) / width), len(totals) - 1)
        last = min(int((high - edges[0]) / width), len(totals) - 1)
        for piece in range(first, last + 1):
            totals[piece] += max(0.0, min(high, edges[piece + 1]) - max(low, edges[piece]))
    return [total / width for total in totals]


def end_of(request: Request, end: float) -> float:
    """Return when a request ended; `end` where it had not."""
    return float(end if request["ended"] is None else request["ended"])


def first_of(request: Request, end: float) -> float:
    """Return when its first token came; when it ended where none came."""
    times = request["token_times"]
    return float(times[0]) if times else end_of(request, end)


def overlap(decoding: Iterable[Span], span: Span) -> tuple[float | None, int]:
    """Return how many spans overlap, on average over the time in which one does, and at most."""
    start, end = span
    inside = [(max(a, start), min(b, end)) for a, b in decoding if b > start and a < end]
    moments = sorted([(a, 1) for a, _ in inside] + [(b, -1) for _, b in inside])
    number, most, busy_s, total = 0, 0, 0.0, 0.0
    for (moment, step), (following, _) in pairwise(moments):
        number += step
        most = max(most, number)
        busy_s += (following - moment) * (number > 0)
        total += (following - moment) * number
    return (total / busy_s if busy_s else None), most
