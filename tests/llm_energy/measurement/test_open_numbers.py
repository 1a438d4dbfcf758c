"""Numbers of an open load from requests that are written out: in a window from 100 to 160 s."""

import math
from typing import Any

import pytest

from llm_energy.measurement import open_requests
from llm_energy.measurement.open_queue import (
    GROWTH,
    LEAST_ARRIVALS,
    first_token_growth,
    idle_spans,
    mean_number,
    overlap,
    saturation,
)
from llm_energy.measurement.open_window import attained, flags, lateness, open_load, schedule_sha256
from llm_energy.results.open_load import SATURATED, STABLE, UNDECIDED, Objectives, OpenLoad
from llm_energy.results.parts import Distribution, Latency
from llm_energy.system.files import sha256_of
from worker.arrivals import ArrivalRecipe

SPAN = (100.0, 160.0)
Request = dict[str, Any]


def request(scheduled: float, *tokens: float, late: float = 0.0, **changes: Any) -> Request:
    """Return a request that ends with its last token, with the requested number of them."""
    whole = {
        "scheduled": scheduled,
        "submitted": scheduled + late,
        "token_times": list(tokens),
        "requested": len(tokens),
        "ended": tokens[-1] if tokens else None,
        "fault": None,
        "prompt": 1,
        "input_tokens": 3,
    }
    return whole | changes


REQUESTS = [
    request(98.0, 99.0, 100.0),  # before the window, and its end on the edge
    request(99.0, 99.5, 100.5),
    request(100.0, 101.0, 102.0, 103.0),
    request(130.0, 131.0, late=0.25),
    request(140.0, 141.0, requested=4, ended=141.5),  # cut
    request(150.0, ended=150.5, requested=2, fault="refused"),
    request(158.0, requested=2),  # never ends
    request(159.0, 159.5, 160.0),
    request(160.0, 160.5, requested=2, ended=None),
]


def numbers(requests: list[Request] = REQUESTS, **known: Any) -> OpenLoad:
    given = {"objectives": None, "joules": None, "idle_joules": None} | known
    return open_load(requests, SPAN, **given)


def test_a_server_has_no_batch_size_but_a_reason() -> None:
    engine, server = numbers(), numbers(is_server=True)
    assert engine.batch_size_mean is not None
    assert engine.batch_size_reason is None
    assert (server.batch_size_mean, server.batch_size_maximum) == (None, None)
    assert server.batch_size_reason == "server_reports_no_batches"
    known = {"batch_size_mean", "batch_size_maximum", "batch_size_reason"}
    assert server.model_dump(exclude=known) == engine.model_dump(exclude=known)


def test_a_request_that_failed_is_not_one_that_was_cut() -> None:
    cut = [request(140.0 + n, 141.0 + n, requested=4, ended=142.0 + n) for n in range(2)]
    load = numbers([*cut, request(150.0, 151.0, ended=151.5, requested=2, fault="refused")])
    assert (load.arrivals, load.completed, load.failed, load.cut) == (3, 0, 1, 2)


def test_requests_are_counted_by_their_arrival_and_rates_by_the_window() -> None:
    load = numbers()
    counts = (load.arrivals, load.completed, load.failed, load.cut, load.unfinished)
    assert counts == (7, 3, 1, 1, 2)
    assert load.offered_per_second == pytest.approx(7 / 60)
    assert load.achieved_per_second == pytest.approx(5 / 60)
    assert load.excess == 0
    assert (load.lateness.p50_s, load.lateness.maximum_s) == (0.0, 0.25)
    first = load.time_to_first_token_from_submission_s
    assert first is not None
    assert (first.count, first.p50) == (5, 0.75)


def test_the_course_is_the_number_in_flight_and_waiting_in_each_second() -> None:
    load = numbers()
    flying = {0: 1.5, 1: 1.0, 2: 1.0, 30: 0.75, 40: 1.0, 41: 0.5, 50: 0.5, 58: 1.0, 59: 2.0}
    waiting = {0: 1.0, 30: 1.0, 40: 1.0, 50: 0.5, 58: 1.0, 59: 1.5}
    assert load.course.in_flight == pytest.approx([flying.get(n, 0.0) for n in range(60)])
    assert load.course.waiting == pytest.approx([waiting.get(n, 0.0) for n in range(60)])
    assert load.in_flight_mean == pytest.approx(9.25 / 60)


def test_idle_stretches_and_their_share_of_time_and_energy() -> None:
    assert idle_spans(REQUESTS, SPAN) == [
        (103.0, 130.25),
        (131.0, 140.0),
        (141.5, 150.0),
        (150.5, 158.0),
    ]
    load = numbers(joules=600.0, idle_joules=150.0)
    assert load.idle_share == pytest.approx(52.25 / 60)
    assert load.idle_energy_share == 0.25
    assert numbers(joules=600.0).idle_energy_share is None
    assert numbers(idle_joules=150.0).idle_energy_share is None


def test_only_good_requests_share_the_energy() -> None:
    objectives = Objectives(end_to_end_s=2.0)
    found = numbers(joules=600.0, objectives=objectives).attained
    assert found is not None
    assert (found.good, found.attainment) == (2, 2 / 7)
    assert found.goodput_per_second == pytest.approx(2 / 60)
    assert found.joules_per_good_request == 300.0
    strict = Objectives(end_to_end_s=0.5)
    for requests, limits, joules, verdict in (
        (REQUESTS, objectives, None, STABLE),
        (REQUESTS, strict, 600.0, STABLE),
        (REQUESTS, objectives, 600.0, SATURATED),
        ([], objectives, 600.0, STABLE),
    ):
        none = attained(requests, SPAN, limits, joules=joules, saturation=verdict)
        assert none.joules_per_good_request is None
    assert attained([], SPAN, objectives, joules=None, saturation=STABLE).attainment == 0.0
    assert lateness([]).maximum_s == 0.0


def test_a_single_token_has_no_gap() -> None:
    assert open_requests.objective_values(request(10.0, 10.5)) == (0.5, 0.0, 0.5)
    assert open_requests.objective_values(request(10.0, 10.5, 10.7))[1] == pytest.approx(0.2)


def test_latencies_are_those_of_whole_requests_and_gaps_those_of_tokens_or_chunks() -> None:
    requests = [request(110.0, 111.0, 111.0, 111.5, 111.5), request(120.0, 121.0, requested=2)]
    plain = open_requests.latency(requests, start=100.0, end=160.0)
    chunks = open_requests.latency(requests, start=100.0, end=160.0, in_chunks=True)
    for found, gap_s, count in ((plain, 0.5 / 3, 3), (chunks, 0.25, 2)):
        assert found.end_to_end_s is not None
        assert (found.end_to_end_s.count, found.end_to_end_s.p50) == (1, 1.5)
        assert found.inter_token_latency_s is not None
        assert found.inter_token_latency_s.mean == pytest.approx(gap_s)
        assert found.inter_token_latency_s.count == count


def waiting(first: float, last: float, *, middle: int = 0, unfinished: int = 0) -> list[Request]:
    """Return five requests in each outer third, which wait so long, and others in the middle."""
    times = ((101.0, first), (102.0, first), (117.0, first), (118.0, first), (119.0, first))
    outer = [request(at, at + wait) for at, wait in times]
    outer += [request(at, at + last) for at in (141.0, 142.0, 143.0, 157.0, 158.0)]
    between = [request(125.0 + n / 1000, 125.5 + n / 1000) for n in range(middle)]
    return outer + between + [request(124.0, requested=1) for _ in range(unfinished)]


def test_growth_is_that_of_the_medians_of_the_outer_thirds() -> None:
    assert first_token_growth(waiting(0.5, 1.0, middle=40), SPAN) == pytest.approx(2.0)
    assert first_token_growth(waiting(0.0, 1.0), SPAN) is None
    assert first_token_growth(waiting(0.5, 1.0)[:-1], SPAN) is None
    endless = [r if r["scheduled"] < 120.0 else request(r["scheduled"]) for r in waiting(0.5, 1.0)]
    assert first_token_growth(endless, SPAN) is None


@pytest.mark.parametrize(
    ("middle", "unfinished", "last", "verdict"),
    [
        (8, 18, 0.5, STABLE),  # 36 arrivals: 18 are three standard errors
        (7, 19, 0.5, SATURATED),
        (6070, 320, 0.5, STABLE),  # 6400 arrivals: 320 are 5 %
        (6069, 321, 0.5, SATURATED),
        (LEAST_ARRIVALS - 10, 0, 0.5 * GROWTH, STABLE),
        (LEAST_ARRIVALS - 10, 0, 0.5 * GROWTH + 0.125, UNDECIDED),
        (7, 19, 0.5 * GROWTH + 0.125, SATURATED),
        (LEAST_ARRIVALS - 11, 0, 0.5, UNDECIDED),
    ],
)
def test_a_queue_is_saturated_by_its_excess_alone_and_undecided_by_growth(
    middle: int, unfinished: int, last: float, verdict: str
) -> None:
    requests = waiting(0.5, last, middle=middle, unfinished=unfinished)
    assert saturation(requests, SPAN) == verdict


def test_a_saturated_window_has_no_joules_per_good_request_and_names_the_growth() -> None:
    requests = waiting(0.5, 1.5, unfinished=16)
    load = numbers(requests, joules=600.0, objectives=Objectives(end_to_end_s=9.0))
    assert load.first_token_growth == pytest.approx(3.0)
    assert load.attained is not None
    assert (load.attained.good, load.attained.joules_per_good_request) == (10, None)
    expected = "16 more arrivals than ends of 26; growth of the median time to first token: 3 ×"
    assert messages(load)["saturated"] == expected
    unknown = load.model_copy(update={"first_token_growth": None})
    assert messages(unknown)["saturated"].endswith("first token: unknown")


def test_an_undecided_window_has_joules_per_good_request_and_a_flag_of_its_own() -> None:
    requests = waiting(0.5, 1.5, middle=30)
    load = numbers(requests, joules=600.0, objectives=Objectives(end_to_end_s=9.0))
    assert load.saturation == UNDECIDED
    assert load.attained is not None
    assert load.attained.joules_per_good_request == 15.0
    expected = "0 more arrivals than ends of 40; growth of the median time to first token: 3 ×"
    assert messages(load) == {
        "rate_off": messages(load)["rate_off"],
        "saturation_undecided": expected,
    }


def test_spans_over_pieces_of_half_a_second() -> None:
    edges = [10.0, 10.5, 11.0, 11.5]
    spans = [(3.0, 9.0), (10.25, 11.25), (10.75, 10.75), (11.0, 20.0)]
    assert mean_number(spans, edges) == pytest.approx([0.5, 1.0, 1.5])


def test_overlap_is_a_mean_over_the_time_in_which_there_is_one() -> None:
    assert overlap([(90.0, 110.0), (105.0, 200.0), (165.0, 170.0)], SPAN) == (65.0 / 60.0, 2)
    assert overlap([(90.0, 95.0), (161.0, 170.0)], SPAN) == (None, 0)


def test_a_schedule_is_known_by_its_offsets_in_microseconds() -> None:
    expected = sha256_of([[1_500_000, 1, 3, 2]])
    assert schedule_sha256([request(101.5, 102.0, 103.0)], 100.0) == expected
    assert schedule_sha256([request(101.5000002, 102.0, 103.0)], 100.0) == expected
    assert schedule_sha256([request(101.500002, 102.0, 103.0)], 100.0) != expected


POISSON = ArrivalRecipe("poisson", 10.0)


def constant(value: float) -> Distribution:
    names = ("mean", "minimum", "p50", "p90", "p95", "p99", "maximum")
    return Distribution(count=9, **dict.fromkeys(names, value))


def messages(
    load: OpenLoad | None = None,
    *,
    recipe: ArrivalRecipe = POISSON,
    first: float | None = None,
    gap: float | None = None,
    longest: float | None = None,
    **changes: Any,
) -> dict[str, str]:
    """Return the flags of a window of 60 s with 600 arrivals."""
    plain = load or numbers().model_copy(
        update={"arrivals": 600, "failed": 0, "cut": 0, "saturation": STABLE} | changes
    )
    times = [None if value is None else constant(value) for value in (first, gap, longest)]
    latency = Latency(
        time_to_first_token_s=times[0], inter_token_latency_s=times[1], end_to_end_s=times[2]
    )
    found = flags(plain, latency, duration_s=60.0, recipe=recipe)
    return {flag.code: flag.message for flag in found}


def test_a_client_is_late_against_first_tokens_or_gaps() -> None:
    def late(p99_s: float, **medians: float) -> str | None:
        late = lateness([]).model_copy(update={"p99_s": p99_s, "maximum_s": 0.27})
        return messages(lateness=late, **medians).get("client_late")

    assert late(0.125, first=1.25) is None
    assert late(0.13, first=1.25) == "p99 130.0 ms, most 270.0"
    assert late(0.25, gap=0.5, first=9.0) is None
    assert late(0.26, gap=0.5, first=9.0) == "p99 260.0 ms, most 270.0"
    assert late(9.0) is None


def test_a_window_must_be_twenty_times_its_longest_request() -> None:
    assert messages(longest=3.0) == {}
    assert messages(longest=3.1) == {"long_requests": "60.0 s, longest request 3.10 s"}


def test_one_request_in_a_hundred_may_be_lost() -> None:
    assert messages(failed=4, cut=2) == {}
    assert messages(failed=4, cut=3) == {"requests_failed": "4 failed, 3 cut, of 600"}


@pytest.mark.parametrize(
    ("recipe", "most"),
    [
        (POISSON, 600 + math.floor(3.0 * math.sqrt(600.0))),
        (ArrivalRecipe("gamma", 10.0, burstiness=4.0), 600 + math.floor(3.0 * math.sqrt(150.0))),
        (ArrivalRecipe("constant", 10.0), 603),
    ],
)
def test_a_rate_is_off_by_more_than_three_standard_errors(recipe: ArrivalRecipe, most: int) -> None:
    assert messages(recipe=recipe, arrivals=most) == {}
    found = messages(recipe=recipe, arrivals=most + 1)
    assert found == {"rate_off": f"{most + 1} arrivals, 600 expected"}


def test_the_rate_of_a_trace_is_its_own() -> None:
    assert messages(recipe=ArrivalRecipe("trace", 10.0), arrivals=1) == {}
