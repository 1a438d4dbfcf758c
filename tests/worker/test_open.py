"""Load mode `open` in the engine process: phases, and requests that are followed or given up."""

import itertools
from dataclasses import replace
from typing import Any

import pytest
from tests.backends.sleep.sleep import output_id
from tests.worker.backend import Peer, measured_open
from tests.worker.open_loads import Clock, engine_of, run_open, workload
from tests.worker.virtual_engine import virtual_clock

from worker.arrivals import WARM_UP, WINDOW, Arrival, ArrivalRecipe, schedule
from worker.engines.base import EngineError, Request
from worker.harness import RequestError, measure
from worker.open import LEAST_FOLLOW_S, OpenStream
from worker.warmup import Warmup
from worker.workload import EngineConfig, Workload

__all__ = ["virtual_clock"]

POISSON = ArrivalRecipe("poisson", 10.0)


def test_the_window_is_a_span_of_time(virtual_clock: Clock) -> None:
    report = run_open(engine_of(virtual_clock), POISSON, duration_s=20.0)
    warmup, opened, tail = report["warmup"], report["window"], report["tail"]
    assert opened["end"] - opened["start"] == pytest.approx(20.0)
    assert warmup["start"] < warmup["end"] <= opened["start"]
    assert (opened["waves"], opened["passes"]) == (None, None)
    assert tail["start"] == opened["end"]
    # No longer than its requests and `tail_s` last: none is followed further than to its end.
    assert 1.0 <= tail["end"] - tail["start"] < 2.0


def test_phases_and_waves_are_announced_and_the_warm_up_counts_every_token(
    virtual_clock: Clock,
) -> None:
    events: list[dict[str, Any]] = []
    recipe = ArrivalRecipe("constant", 10.0)
    report = run_open(engine_of(virtual_clock), recipe, duration_s=10.0, emit=events.append)
    phases = {e["name"]: e["t"] for e in events if e["event"] == "phase"}
    assert list(phases) == ["warmup", "window", "tail"]
    assert phases["warmup"] <= report["warmup"]["start"]
    assert phases["window"] == report["window"]["start"]
    assert report["tail"]["start"] <= phases["tail"] < report["tail"]["end"]
    first, *waves = [e for e in events if e["event"] == "wave"]
    assert first["tokens"] == 16
    assert waves[0]["t0"] >= first["t1"]
    assert all(a["t1"] == b["t0"] for a, b in itertools.pairwise(waves))
    assert all(wave["t1"] - wave["t0"] == pytest.approx(0.5, abs=0.1) for wave in waves)
    settled = waves[2:]
    tokens = sum(wave["tokens"] for wave in settled)
    lasted_s = settled[-1]["t1"] - settled[0]["t0"]
    assert tokens / lasted_s == pytest.approx(160.0, rel=0.1)


def test_outputs_are_those_of_whole_requests_with_the_prompt_as_it_is(
    virtual_clock: Clock,
) -> None:
    engine = engine_of(virtual_clock, cuts=lambda number: number % 2 == 0)
    report = run_open(engine, POISSON, output_tokens=8)
    assert [output["prompt_index"] for output in report["sample_outputs"]] == [0, 1, 2]
    assert all(len(output["output_ids"]) == 8 for output in report["sample_outputs"])
    trace = {"trace_times_s": (0.1, 0.2), "trace_span_s": 0.2}
    lengths = {"trace_input_tokens": (11, 12), "trace_output_tokens": (4, 5)}
    recipe = ArrivalRecipe("trace", 10.0, lengths="trace", **trace, **lengths)
    report = run_open(engine_of(virtual_clock), recipe)
    assert {r["input_tokens"] for r in report["requests"]} == {11, 12}
    assert report["sample_outputs"] == []


def test_warm_up_and_window_follow_schedules_of_their_own(virtual_clock: Clock) -> None:
    report = run_open(engine_of(virtual_clock), POISSON, duration_s=10.0)
    start, end = report["window"]["start"], report["window"]["end"]
    offsets = [r["scheduled"] - start for r in report["requests"] if start <= r["scheduled"] <= end]
    planned = [a.offset_s for a in first_arrivals(POISSON, WINDOW, len(offsets))]
    assert offsets == pytest.approx(planned)

    load = workload(POISSON, output_tokens=4, duration_s=10.0)
    stream = OpenStream(load, Warmup(load, emit=lambda _: None, host_steady=bool), lambda _: None)
    first = stream.first_request()
    assert first == Request(0, load.prompts[0], 4, load.sampling)
    assert stream.records[0].open is not None
    assert stream.records[0].open.input_tokens == 3
    engine_of(virtual_clock).wave([first], stream.on_tokens)
    stream.begin()
    begun = virtual_clock.now
    coming = first_arrivals(POISSON, WARM_UP, 5)
    assert stream.wait_s() == pytest.approx(min(0.5, coming[0].offset_s), abs=1e-4)
    virtual_clock.sleep(coming[-1].offset_s + 1e-3)
    due = [stream.records[request.id].open for request in stream.due()]
    scheduled = [each.scheduled - begun for each in due if each]
    assert scheduled[:5] == pytest.approx([a.offset_s for a in coming], abs=1e-4)


def first_arrivals(recipe: ArrivalRecipe, stretch: str, count: int) -> list[Arrival]:
    return list(itertools.islice(schedule(recipe, output_tokens=16, stretch=stretch), count))


def test_without_a_warm_up_the_window_opens_after_the_first_request(virtual_clock: Clock) -> None:
    load = workload(POISSON, output_tokens=16, duration_s=10.0, cap_s=0.0)
    load = replace(load, warmup=replace(load.warmup, minimum_s=0.0))
    config = EngineConfig("virtual", "", "auto", context_tokens=64, slots=8)
    report = measure(engine_of(virtual_clock), config, load, emit=lambda _: None)
    assert len(report["warmup"]["throughput"]) == 1
    assert report["window"]["start"] - report["warmup"]["start"] == pytest.approx(0.2, abs=0.05)


def test_a_warm_up_of_no_length_keeps_its_least_time(virtual_clock: Clock) -> None:
    report = run_open(engine_of(virtual_clock), POISSON, duration_s=10.0, cap_s=0.0)
    assert report["window"]["start"] - report["warmup"]["start"] >= 1.0


def begun_stream(clock: Clock, events: list[dict[str, Any]]) -> tuple[OpenStream, Request]:
    """A stream in its warm-up, whose first request gave 4 tokens, and this request."""
    load = workload(POISSON, output_tokens=4, duration_s=10.0)
    warmup = Warmup(load, emit=events.append, host_steady=bool)
    stream = OpenStream(load, warmup, lambda _: None)
    first = stream.first_request()
    engine_of(clock).wave([first], stream.on_tokens)
    stream.begin()
    return stream, first


def test_each_piece_of_the_warm_up_has_the_tokens_of_its_time_alone(virtual_clock: Clock) -> None:
    events: list[dict[str, Any]] = []
    stream, request = begun_stream(virtual_clock, events)
    for tokens in (5, 3):
        stream.on_tokens(request, [1] * tokens)
        virtual_clock.sleep(0.6)
        stream.wait_s()
    assert [event["tokens"] for event in events] == [4, 5, 3]


def test_a_whole_request_ends_with_its_last_token_and_another_when_it_is_given_up(
    virtual_clock: Clock,
) -> None:
    stream, _ = begun_stream(virtual_clock, [])
    virtual_clock.sleep(1.0)
    whole, cut = stream.due()[:2]
    for request, tokens in ((whole, 4), (cut, 3)):
        stream.on_tokens(request, [1] * tokens)
    last = virtual_clock.now
    virtual_clock.sleep(0.3)
    ended = []
    for request in (whole, cut):
        stream.on_end(request)
        record = stream.records[request.id].open
        assert record is not None
        ended.append(record.ended)
    assert ended == pytest.approx([last, last + 0.3], abs=1e-3)


def test_after_the_tail_nothing_is_submitted_and_no_request_has_ended(
    virtual_clock: Clock,
) -> None:
    stream, first = begun_stream(virtual_clock, [])
    pending: list[Request] = []
    stream.on_end(first)
    while stream.wait_s() is not None:
        stream.on_tokens(first, [1])
        virtual_clock.sleep(0.6)
        pending += stream.due()
    virtual_clock.sleep(10.0)
    assert pending
    assert stream.due() == []
    stream.on_end(pending[-1])
    left = stream.records[pending[-1].id].open
    assert left is not None
    assert left.ended is None


def test_requests_of_the_window_are_followed_to_their_end(virtual_clock: Clock) -> None:
    """Each takes 2.6 s, so that those of the last seconds end after the window."""
    engine = engine_of(virtual_clock, slots=1000, prefill_s=0.1, token_s=0.1)
    report = run_open(engine, POISSON, output_tokens=26, duration_s=10.0)
    end = report["window"]["end"]
    counted = [r for r in report["requests"] if r["scheduled"] >= report["window"]["start"]]
    assert any(r["ended"] > end for r in counted)
    assert all(len(r["token_times"]) == 26 for r in counted)
    assert all(r["scheduled"] <= end for r in report["requests"])
    before = [r for r in report["requests"] if r["scheduled"] < report["window"]["start"]]
    assert before  # in flight when the window opened: their tokens count by time
    assert all(r["ended"] >= report["window"]["start"] for r in before)


def test_a_queue_that_grows_is_given_up(virtual_clock: Clock) -> None:
    engine = engine_of(virtual_clock, slots=1, prefill_s=1.0)
    report = run_open(engine, POISSON, output_tokens=1, duration_s=20.0)
    assert report["tail"]["end"] - report["tail"]["start"] < LEAST_FOLLOW_S + 1.0
    unfinished = [r for r in report["requests"] if r["ended"] is None]
    assert len(unfinished) > 50
    assert all(r["token_times"] == [] for r in unfinished)


def test_the_load_has_built_up_when_the_window_opens(virtual_clock: Clock) -> None:
    """However short the cap is: requests of 4 s would else fill the window bit by bit."""
    engine = engine_of(virtual_clock, slots=1000, prefill_s=0.1, token_s=0.1)
    report = run_open(engine, POISSON, output_tokens=40, duration_s=10.0, cap_s=0.5)
    assert report["window"]["start"] - report["warmup"]["start"] > 4.0 + 2.0 * 4.0


def test_lengths_may_differ_and_are_exact(virtual_clock: Clock) -> None:
    recipe = replace(POISSON, lengths="uniform")
    report = run_open(engine_of(virtual_clock), recipe, output_tokens=8)
    for request in report["requests"]:
        assert len(request["token_times"]) == request["requested"]
    assert len({r["requested"] for r in report["requests"]}) > 5


def test_an_engine_without_the_mode_refuses_it(virtual_clock: Clock) -> None:
    engine = engine_of(virtual_clock)
    engine.LOAD_MODES = frozenset({"waves"})  # type: ignore[misc]
    with pytest.raises(RequestError, match="has no load mode open"):
        run_open(engine, POISSON)


def test_an_engine_that_fails_every_request_ends_the_warm_up(virtual_clock: Clock) -> None:
    engine = engine_of(virtual_clock, fails=lambda number: number > 0)
    with pytest.raises(EngineError, match="no token came for 60 s of the warm-up; it failed"):
        run_open(engine, POISSON)
    rare = ArrivalRecipe("constant", 0.02)  # a piece of four arrivals lasts 200 s
    with pytest.raises(EngineError, match="no token came for 200 s of the warm-up"):
        run_open(engine_of(virtual_clock, fails=lambda number: number > 0), rare)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"mode": "bursts"}, "must be one of waves, closed, open, not 'bursts'"),
        ({"arrivals": None}, "workload.arrivals: belongs to mode open"),
        ({"mode": "closed"}, "workload.arrivals: belongs to mode open"),
        ({"arrivals": ArrivalRecipe("poisson", -1.0)}, "must be above 0"),
    ],
)
def test_a_load_that_is_none_is_refused(
    virtual_clock: Clock, changes: dict[str, Any], fault: str
) -> None:
    load = replace(workload(POISSON, output_tokens=4, duration_s=1.0), **changes)
    config = EngineConfig("virtual", "", "auto", context_tokens=64, slots=8)
    with pytest.raises(RequestError, match=fault):
        measure(engine_of(virtual_clock), config, load, emit=lambda _: None)


def test_the_longest_request_of_a_trace_must_fit(virtual_clock: Clock) -> None:
    recipe = ArrivalRecipe(
        "trace",
        1.0,
        lengths="trace",
        trace_times_s=(0.0, 1.0),
        trace_input_tokens=(10, 60),
        trace_output_tokens=(2, 5),
        trace_span_s=2.0,
    )
    load: Workload = workload(recipe, output_tokens=4, duration_s=1.0)
    assert load.longest_sequence() == 65
    config = EngineConfig("virtual", "", "auto", context_tokens=64, slots=8)
    with pytest.raises(RequestError, match="take 65 tokens, the context holds 64"):
        measure(engine_of(virtual_clock), config, load, emit=lambda _: None)


def test_in_real_time_in_an_engine_process(peer: Peer, sleep_engine: dict[str, Any]) -> None:
    """The sleeping engine behind its supervisor: two slots, and a queue in front of them."""
    peer.load(**sleep_engine)
    measured = measured_open(peer, rate=60.0, minimum_duration_s=0.5)
    start, end = measured["window"]["start"], measured["window"]["end"]
    counted = [r for r in measured["requests"] if start <= r["scheduled"] <= end]
    assert counted
    for request in counted:
        assert request["scheduled"] <= request["submitted"] <= request["token_times"][0]
        assert request["ended"] == request["token_times"][-1]
        assert len(request["token_times"]) == request["requested"] == 5
    assert measured["sample_outputs"][0]["output_ids"] == [
        output_id((1, 2, 3, 4), step) for step in range(5)
    ]
    assert peer.measure()["event"] == "measured"  # the engine serves other loads after it
