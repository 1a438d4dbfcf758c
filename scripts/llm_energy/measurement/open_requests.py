"""The requests of an open load: which count, what they waited for, and which are good.

A request is a dict as the worker reports it, see `worker/recording.py`. It counts by its scheduled
arrival, and its latencies begin there.
"""

import math
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

from llm_energy.measurement.window import chunk_gaps, distribution
from llm_energy.results.open_load import Objectives
from llm_energy.results.parts import Latency

Request = Mapping[str, Any]
Span = tuple[float, float]


def whole(request: Request) -> bool:
    """Return True for a request that ended with the tokens that were requested."""
    done = request["fault"] is None and request["ended"] is not None
    return done and len(request["token_times"]) == request["requested"]


def arrived(requests: Iterable[Request], span: Span) -> list[Request]:
    """Return the requests whose scheduled arrival lies in the window."""
    return [r for r in requests if span[0] <= r["scheduled"] <= span[1]]


def first_tokens(requests: Iterable[Request], since: str = "scheduled") -> list[float]:
    """Return the times to first token of requests that have one."""
    return [r["token_times"][0] - r[since] for r in requests if r["token_times"]]


def gaps(requests: Iterable[Request], *, in_chunks: bool = False) -> list[float]:
    """Return the times between successive tokens of each request."""
    if in_chunks:
        times = (r["token_times"] for r in requests)
        return [gap for each in times for gap in chunk_gaps(each, start=-math.inf, end=math.inf)]
    return [b - a for r in requests for a, b in pairwise(r["token_times"])]


def latency(
    requests: Iterable[Request], *, start: float, end: float, in_chunks: bool = False
) -> Latency:
    """Return the latencies of the requests that arrived in the window, from the schedule.

    Args:
        in_chunks: as in `window.latency`.
    """
    counted = arrived(requests, (start, end))
    ends = [r["ended"] - r["scheduled"] for r in counted if whole(r)]
    return Latency(
        time_to_first_token_s=distribution(first_tokens(counted)),
        inter_token_latency_s=distribution(gaps(counted, in_chunks=in_chunks)),
        end_to_end_s=distribution(ends),
    )


def is_good(request: Request, objectives: Objectives) -> bool:
    """Return True for a whole request that kept every objective; equal keeps it."""
    if not whole(request):
        return False
    limits = (
        objectives.time_to_first_token_s,
        objectives.inter_token_latency_s,
        objectives.end_to_end_s,
    )
    kept = zip(objective_values(request), limits, strict=True)
    return all(limit is None or value <= limit for value, limit in kept)


def objective_values(request: Request) -> tuple[float, float, float]:
    """Return time to first token, mean gap and time to the end of a whole request."""
    times, since = request["token_times"], request["scheduled"]
    mean_gap_s = (times[-1] - times[0]) / (len(times) - 1) if len(times) > 1 else 0.0
    return times[0] - since, mean_gap_s, request["ended"] - since
