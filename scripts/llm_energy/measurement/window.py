"""From an engine's account of a measurement to the numbers of its result: pure functions.

A request is a dict as the worker reports it: `prompt` (index), `wave`, `submitted` and
`token_times`, one CLOCK_MONOTONIC second for each output token as the engine process saw it.
All functions count what lies inside the window, so one definition serves all load modes; in load
mode `open` requests are followed beyond it: open_requests.py has their latencies.
"""

import math
import statistics
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import groupby, pairwise
from typing import Any

from llm_energy.measurement.window_drift import scatter_limit
from llm_energy.power.accounting import PIECES, piece_edges_s
from llm_energy.results.parts import (
    NOT_STREAMED,
    Distribution,
    Drift,
    Latency,
    PowerSteadiness,
    Tokens,
    Warmup,
)
from worker.courses import Wave
from worker.steady import TOO_FEW_WAVES

RequestRecord = Mapping[str, Any]

PERCENTILES = (50, 90, 95, 99)

DRIFT_WAVES = PIECES
"""Least waves of a window whose drift is computed: three in each third. Provisional."""


def quantile(ordered: Sequence[float], fraction: float) -> float:
    """Quantile of values in ascending order, linear between order statistics.

    Type 7 of Hyndman and Fan, The American Statistician 50 (1996), as numpy computes it.
    """
    position = (len(ordered) - 1) * fraction
    below = math.floor(position)
    if below == len(ordered) - 1:
        return ordered[below]
    return ordered[below] + (position - below) * (ordered[below + 1] - ordered[below])


def distribution(values: Sequence[float]) -> Distribution | None:
    """Summary of `values`; None where there are none."""
    if not values:
        return None
    ordered = sorted(values)
    p50, p90, p95, p99 = (quantile(ordered, p / 100) for p in PERCENTILES)
    return Distribution(
        count=len(ordered),
        mean=statistics.fmean(ordered),
        minimum=ordered[0],
        p50=p50,
        p90=p90,
        p95=p95,
        p99=p99,
        maximum=ordered[-1],
    )


def latency(
    requests: Sequence[RequestRecord],
    *,
    start: float,
    end: float,
    in_chunks: bool = False,
    streamed: bool = True,
) -> Latency:
    """Latencies of what happened wholly inside the window [start, end], in s.

    In load mode `closed` requests that straddle an edge lose the latencies that straddle it:
    long ones are a little likelier to be lost, a bias that shrinks with window over latency.

    Args:
        in_chunks: tokens of one moment are one chunk of a server: see `chunk_gaps`.
        streamed: False where an answer came whole, and its tokens have the time of its end.
    """
    first, gaps, whole = [], [], []
    for request in requests:
        times = request["token_times"]
        if not times:
            continue
        inside = request["submitted"] >= start
        if inside and times[0] <= end:
            first.append(times[0] - request["submitted"])
        if inside and times[-1] <= end:
            whole.append(times[-1] - request["submitted"])
        if in_chunks:
            gaps += chunk_gaps(times, start=start, end=end)
        else:
            gaps += [b - a for a, b in pairwise(times) if a >= start and b <= end]
    return Latency(
        time_to_first_token_s=distribution(first) if streamed else None,
        inter_token_latency_s=distribution(gaps) if streamed else None,
        end_to_end_s=distribution(whole),
        token_latency_reason=None if streamed else NOT_STREAMED,
    )


def chunk_gaps(times: Sequence[float], *, start: float, end: float) -> list[float]:
    """Return the time of each token after the first chunk: its chunk's wait over its tokens.

    Their mean is that of last less first chunk over the tokens between, so that the first chunk's
    tokens are not in the divisor, and a chunk of many tokens is no row of zeros.
    """
    chunks = [(moment, sum(1 for _ in tokens)) for moment, tokens in groupby(times)]
    return [
        (b - a) / count
        for (a, _), (b, count) in pairwise(chunks)
        for _ in range(count)
        if a >= start and b <= end
    ]


def tokens(
    requests: Sequence[RequestRecord],
    *,
    input_lengths: Sequence[int],
    start: float,
    end: float,
) -> Tokens:
    """Tokens of the window by time stamp: a prompt counts where its first token falls.

    Args:
        input_lengths: token count of each prompt, by prompt index; padding is not counted.
    """
    output = sum(start <= t <= end for request in requests for t in request["token_times"])
    prefilled = [r for r in requests if r["token_times"] and start <= r["token_times"][0] <= end]
    finished = sum(
        len(times) >= request.get("requested", 1) and start <= times[-1] <= end
        for request in requests
        if (times := request["token_times"])
    )
    return Tokens(
        input=sum(
            request.get("input_tokens", input_lengths[request["prompt"]]) for request in prefilled
        ),
        output=output,
        requests=finished,
    )


def rate_drift(requests: Sequence[RequestRecord], *, start: float, end: float) -> float | None:
    """Output rate of the last third of the window against its first third: relative change.

    For load mode `closed`, where tokens flow evenly. None where a third holds no token.
    """
    third = (end - start) / 3.0
    times = [t for request in requests for t in request["token_times"]]
    first = sum(start <= t < start + third for t in times)
    last = sum(end - third < t <= end for t in times)
    return last / first - 1.0 if first and last else None


def pass_drift(requests: Sequence[RequestRecord], *, waves: int, passes: int) -> float | None:
    """Throughput of the last third of the passes against the first third: relative change.

    For load mode `waves`: passes hold the same work, so the inverse of their durations is compared
    and wave edges do not count. None below `DRIFT_WAVES` waves or three passes, where a single
    wave would decide.
    """
    if waves < DRIFT_WAVES or passes < 3:
        return None
    first_wave = min(request["wave"] for request in requests)
    edges: dict[int, tuple[float, float]] = {}
    for request in requests:
        number = (request["wave"] - first_wave) * passes // waves
        begun, ended = edges.get(number, (math.inf, -math.inf))
        submitted, last = request["submitted"], request["token_times"][-1]
        edges[number] = (min(begun, submitted), max(ended, last))
    durations = [edges[number][1] - edges[number][0] for number in range(passes)]
    third = passes // 3
    return sum(durations[:third]) / sum(durations[-third:]) - 1.0


def warmup(report: Mapping[str, Any], *, power: PowerSteadiness | None = None) -> Warmup:
    """The worker's account of the warm-up, as the result keeps it, without a verdict.

    Args:
        power: the host's verdict at its end, where it had one.
    """
    return Warmup(
        steady=False,
        capped=report["capped"],
        verdict=TOO_FEW_WAVES,
        waves=len(report["throughput"]),
        duration_s=report["end"] - report["start"],
        first_wave_s=report["first_wave_s"],
        throughput_tokens_per_second=report["throughput"],
        wave_ends_s=report["wave_ends_s"],
        coefficient_of_variation=None,
        trend_interval=None,
        bound=None,
        power=power,
    )


def drift(
    requests: Sequence[RequestRecord],
    *,
    start: float,
    end: float,
    waves: int | None,
    passes: int | None,
) -> Drift:
    """Drift inside the window; the power side is filled in where power was metered.

    Args:
        waves: of the window; None, as `passes`, in load mode `closed`.
    """
    scatter = None
    if waves is None or passes is None:
        change = rate_drift(requests, start=start, end=end)
        if change is not None:
            scatter = scatter_limit(_pieces(requests, start, end), third=PIECES // 3)
    else:
        inside = [r for r in requests if r["submitted"] >= start and r["token_times"][-1] <= end]
        change = pass_drift(inside, waves=waves, passes=passes)
        if change is not None:
            places = waves // passes
            scatter = scatter_limit(waves_of(inside, places), third=passes // 3 * places)
    return Drift(throughput_relative=change, power_relative=None, throughput_scatter_limit=scatter)


def waves_of(requests: Sequence[RequestRecord], places: int) -> list[Wave]:
    """Return the waves of a window in load mode `waves`.

    Args:
        places: after how many waves the same prompts come again.
    """
    waves: dict[int, list[RequestRecord]] = defaultdict(list)
    for request in requests:
        waves[request["wave"]].append(request)
    return [
        Wave(
            min(request["submitted"] for request in own),
            max(request["token_times"][-1] for request in own),
            sum(len(request["token_times"]) for request in own),
            number % places,
        )
        for number, own in sorted(waves.items())
    ]


def _pieces(requests: Sequence[RequestRecord], start: float, end: float) -> list[Wave]:
    """Return the tokens of equal pieces of a window in which tokens flow evenly."""
    times = sorted(t for request in requests for t in request["token_times"])
    edges = piece_edges_s(start, end)
    counts = [bisect_right(times, edge) for edge in edges]
    return [
        Wave(*span, last - first)
        for span, (first, last) in zip(pairwise(edges), pairwise(counts), strict=True)
    ]
