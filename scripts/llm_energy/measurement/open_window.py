"""From the requests of an open load to the numbers of its result: pure functions.

Requests count by their scheduled arrival A in the window [a, b] and are followed to their end E
after it; S is their submission, F their first token. Latencies count from A.
"""

import math
from collections.abc import Iterable, Sequence

from llm_energy.measurement.open_queue import (
    end_of,
    excess,
    first_of,
    first_token_growth,
    idle_spans,
    mean_number,
    overlap,
    saturation,
)
from llm_energy.measurement.open_requests import (
    Request,
    Span,
    arrived,
    first_tokens,
    is_good,
    whole,
)
from llm_energy.measurement.window import distribution, quantile
from llm_energy.results.open_load import (
    NOT_REPORTED,
    SATURATED,
    UNDECIDED,
    Attained,
    Course,
    Lateness,
    Objectives,
    OpenLoad,
    Saturation,
)
from llm_energy.results.parts import Flag, Latency
from llm_energy.system.files import sha256_of
from worker.arrivals import CONSTANT, TRACE, ArrivalRecipe

LATE_OF_FIRST_TOKEN, LATE_OF_GAP = 0.1, 0.5
"""Share of the median time to first token, and of the median gap, above which a client is late."""

TURNS = 20.0
"""A window shorter than so many times its longest request is flagged."""

FAILED_LIMIT = 0.01
RATE_ERRORS = 3.0
"""Standard errors of the number of arrivals beyond which the rate is off."""

PIECES = 60
"""Number of pieces of the window whose means the course keeps."""


def attained(
    requests: Iterable[Request],
    span: Span,
    objectives: Objectives,
    *,
    joules: float | None,
    saturation: Saturation,
) -> Attained:
    """Judge the requests of the window by objectives."""
    counted = arrived(requests, span)
    good = sum(is_good(request, objectives) for request in counted)
    per_request = joules is not None and good and saturation != SATURATED
    return Attained(
        objectives=objectives,
        good=good,
        attainment=good / len(counted) if counted else 0.0,
        goodput_per_second=good / (span[1] - span[0]),
        joules_per_good_request=joules / good if per_request and joules is not None else None,
    )


def lateness(requests: Iterable[Request]) -> Lateness:
    """Return how late requests were submitted; 0 of none."""
    late = sorted(r["submitted"] - r["scheduled"] for r in requests) or [0.0]
    return Lateness(p50_s=quantile(late, 0.5), p99_s=quantile(late, 0.99), maximum_s=late[-1])


def open_load(
    requests: Sequence[Request],
    span: Span,
    *,
    objectives: Objectives | None,
    joules: float | None,
    idle_joules: float | None,
    is_server: bool = False,
) -> OpenLoad:
    """Return the numbers of a window of load mode `open`.

    Args:
        requests: all that were in flight in the window or arrived in it.
        joules: energy of the window.
        idle_joules: the part of it in `idle_spans`.
        is_server: the engine is a server, which batches requests as it likes.
    """
    start, end = span
    duration_s = end - start
    counted = arrived(requests, span)
    verdict = saturation(requests, span)
    edges = [start + duration_s * piece / PIECES for piece in range(PIECES + 1)]
    in_flight = mean_number(((r["submitted"], end_of(r, end)) for r in requests), edges)
    decoding = [(r["token_times"][0], r["token_times"][-1]) for r in requests if r["token_times"]]
    mean, most = overlap(decoding, span)
    idle_s = math.fsum(b - a for a, b in idle_spans(requests, span))
    return OpenLoad(
        schedule_sha256=schedule_sha256(counted, start),
        arrivals=len(counted),
        completed=sum(map(whole, counted)),
        failed=sum(r["fault"] is not None for r in counted),
        cut=sum(r["fault"] is None and r["ended"] is not None and not whole(r) for r in counted),
        unfinished=sum(r["ended"] is None for r in counted),
        offered_per_second=len(counted) / duration_s,
        achieved_per_second=sum(whole(r) and start <= r["ended"] <= end for r in requests)
        / duration_s,
        saturation=verdict,
        excess=excess(requests, span),
        first_token_growth=first_token_growth(requests, span),
        lateness=lateness(counted),
        time_to_first_token_from_submission_s=distribution(first_tokens(counted, "submitted")),
        course=Course(
            in_flight=in_flight,
            waiting=mean_number(((r["scheduled"], first_of(r, end)) for r in requests), edges),
        ),
        in_flight_mean=math.fsum(in_flight) / PIECES,
        batch_size_mean=None if is_server else mean,
        batch_size_maximum=None if is_server else most,
        batch_size_reason=NOT_REPORTED if is_server else None,
        idle_share=idle_s / duration_s,
        idle_energy_share=idle_joules / joules if joules and idle_joules is not None else None,
        attained=None
        if objectives is None
        else attained(requests, span, objectives, joules=joules, saturation=verdict),
    )


def schedule_sha256(counted: Iterable[Request], start: float) -> str:
    """Return the hash of a schedule as it was carried out: offsets in µs, prompts and lengths."""
    return sha256_of(
        [
            [
                round((r["scheduled"] - start) * 1e6),
                r["prompt"],
                r["input_tokens"],
                r["requested"],
            ]
            for r in counted
        ]
    )


def flags(
    load: OpenLoad, latency: Latency, *, duration_s: float, recipe: ArrivalRecipe
) -> list[Flag]:
    """Return the flags that follow from an open load."""
    found = {}
    growth = f"{load.first_token_growth:.2g} ×" if load.first_token_growth else "unknown"
    queue = (
        f"{load.excess} more arrivals than ends of {load.arrivals}; growth of the median time to "
        f"first token: {growth}"
    )
    if load.saturation == SATURATED:
        found["saturated"] = queue
    elif load.saturation == UNDECIDED:
        found["saturation_undecided"] = queue
    first, gap, longest = (
        latency.time_to_first_token_s,
        latency.inter_token_latency_s,
        latency.end_to_end_s,
    )
    late = load.lateness.p99_s
    if (first and late > LATE_OF_FIRST_TOKEN * first.p50) or (gap and late > LATE_OF_GAP * gap.p50):
        found["client_late"] = f"p99 {1e3 * late:.1f} ms, most {1e3 * load.lateness.maximum_s:.1f}"
    if longest and duration_s < TURNS * longest.maximum:
        found["long_requests"] = f"{duration_s:.1f} s, longest request {longest.maximum:.2f} s"
    lost = load.failed + load.cut
    if lost > FAILED_LIMIT * load.arrivals:
        found["requests_failed"] = f"{load.failed} failed, {load.cut} cut, of {load.arrivals}"
    expected = recipe.rate * duration_s
    if abs(load.arrivals - expected) > RATE_ERRORS * _error_of_arrivals(recipe, expected):
        found["rate_off"] = f"{load.arrivals} arrivals, {expected:.0f} expected"
    return [Flag(code=code, message=message) for code, message in found.items()]


def _error_of_arrivals(recipe: ArrivalRecipe, expected: float) -> float:
    """Return the standard error of the number of arrivals; without limit for a trace."""
    if recipe.process == TRACE:
        return math.inf
    return 1.0 if recipe.process == CONSTANT else math.sqrt(expected / recipe.burstiness)
