"""Load mode `closed` in the engine process, on an engine that sleeps: window and tail."""

import itertools
from collections.abc import Callable

import pytest
from tests.backends.sleep.sleep import SleepEngine
from tests.worker.sleeping import Clock, Report, clock, config, read, run, with_options

from worker.closed import Stream
from worker.engines.base import EngineError, OnTokens, Request
from worker.harness import measure
from worker.warmup import Warmup
from worker.workload import EngineConfig

__all__ = ["clock", "config"]


class TakingTurns(SleepEngine):
    """Gives a token of each slot in turn, one every 10 ms; the second slot starts two later."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def stream(self, take: Callable[[], Request | None], slots: int, on_tokens: OnTokens) -> None:
        # Of each slot: its request, once for each token that it still lacks.
        left: list[list[Request]] = [[] for _ in range(slots)]
        turns = itertools.chain([0, 0], itertools.cycle(range(slots)))
        while True:
            slot = next(turns)
            if not left[slot]:
                if (request := take()) is None:
                    break
                left[slot] = [request] * request.output_tokens
            self._give(left[slot].pop(), on_tokens)
        for request in itertools.chain.from_iterable(left):
            self._give(request, on_tokens)

    def _give(self, request: Request, on_tokens: OnTokens) -> None:
        self._clock.sleep(0.01)
        on_tokens(request, [7])


class Retokenising(TakingTurns):
    """Finds three tokens in the first chunk of an answer, and one in each other."""

    def chunk_tokens(self, request: int) -> list[int]:  # noqa: ARG002
        return [3, 1, 1, 1, 1]


class TestClosed:
    def test_the_window_lies_inside_the_stream(self, config: EngineConfig) -> None:
        report, events = run(config, mode="closed")
        assert [e["name"] for e in events if e["event"] == "phase"] == ["warmup", "window", "tail"]
        window = report["window"]
        assert window["waves"] is None
        assert window["passes"] is None
        assert window["end"] - window["start"] >= 0.1
        assert report["warmup"]["end"] < window["start"]
        assert report["tail"]["start"] == window["end"]
        assert report["tail"]["end"] - window["end"] >= 0.05

    def test_tokens_are_counted_by_their_time(self, config: EngineConfig) -> None:
        report, _ = run(config, mode="closed")
        start, end = report["window"]["start"], report["window"]["end"]
        for request in report["requests"]:
            inside = [t for t in request["token_times"] if start <= t <= end]
            assert request["counted"] == len(inside)
        assert end in {t for r in report["requests"] for t in r["token_times"]}
        assert start not in {t for r in report["requests"] for t in r["token_times"]}

    def test_slots_are_fed_until_the_tail_is_over(self) -> None:
        load = read(mode="closed", minimum_duration_s=0.0, tail_s=0.0, warmup={"cap_s": 0.0})
        phases: list[Report] = []
        warmup = Warmup(load, emit=phases.append, host_steady=bool)
        stream = Stream(load, warmup, phases.append)
        slots = [stream.take(), stream.take()]
        tokens = 0
        while None not in slots:
            for slot, request in enumerate(slots):
                assert request is not None
                for _ in range(load.output_tokens):
                    stream.on_tokens(request, [7])
                    tokens += 1
                slots[slot] = stream.take()
        # One wave of warm-up, three of window, and the token that ends a tail of no length.
        assert [e.get("name", "wave") for e in phases] == ["wave", "window", "tail"]
        assert tokens >= (1 + 3) * 10 + 1
        assert stream.start < stream.end < stream.tail_end

    def test_the_window_opens_only_when_every_slot_decodes(self) -> None:
        load = read(mode="closed", batch_size=2, warmup={"cap_s": 0.0})
        phases: list[Report] = []
        stream = Stream(load, Warmup(load, emit=lambda _: None, host_steady=bool), phases.append)
        first, second = stream.take(), stream.take()
        assert first is not None
        assert second is not None
        for _ in range(10):  # two waves' worth of tokens, all of one slot
            stream.on_tokens(first, [7, 7])
        assert phases == []
        for _ in range(5):
            stream.on_tokens(second, [7, 7])
        assert [phase["name"] for phase in phases] == ["window"]

    def test_every_token_of_the_window_is_reported_and_no_request_beside_it(
        self, config: EngineConfig, clock: Clock
    ) -> None:
        """The window opens after ten tokens and closes at the thirtieth one after them."""
        engine, events = TakingTurns(clock), list[Report]()
        load = read(mode="closed", minimum_duration_s=0.0, tail_s=0.5, warmup={"cap_s": 0.0})
        report = measure(engine, config, load, emit=events.append)
        assert [r["prompt"] for r in report["requests"]] == [1, 2, 3, 0, 1, 2, 3, 0]
        assert [r["counted"] for r in report["requests"]] == [1, 4, 5, 5, 5, 5, 4, 1]
        start, end = report["window"]["start"], report["window"]["end"]
        assert end - start == pytest.approx(30 * 0.01, rel=0.01)
        phases = [e for e in events if e["event"] == "phase"]
        assert phases[0]["t"] <= report["warmup"]["start"]
        assert [e["t"] for e in phases[1:]] == pytest.approx([start, end], abs=1e-5)
        assert report["tail"]["end"] - end == pytest.approx(0.5, abs=0.011)
        assert [each["prompt_index"] for each in report["sample_outputs"]] == [0, 1, 2]

    def test_waves_of_the_warm_up_follow_each_other_and_hold_the_tokens_of_a_wave(
        self, config: EngineConfig, clock: Clock
    ) -> None:
        load = read(mode="closed", minimum_duration_s=0.0, tail_s=0.0, warmup={"cap_s": 0.25})
        events = list[Report]()
        measure(TakingTurns(clock), config, load, emit=events.append)
        waves = [e for e in events if e["event"] == "wave"]
        assert [wave["tokens"] for wave in waves] == [10] * 4  # the cap counts from the first one
        assert [w["t1"] - w["t0"] for w in waves] == pytest.approx([0.1] * 4, abs=1e-4)
        assert [w["t0"] for w in waves[1:]] == [w["t1"] for w in waves[:-1]]

    def test_warm_up_and_window_of_answers_that_are_split_again_are_counted_in_tokens(
        self, config: EngineConfig, clock: Clock
    ) -> None:
        """Else every window would be faster than its warm-up, by the tokens of a chunk."""
        load = read(mode="closed", minimum_duration_s=0.0, tail_s=0.0, warmup={"cap_s": 0.25})
        report = measure(Retokenising(clock), config, load, emit=list[Report]().append)
        warmup, window = report["warmup"], report["window"]
        ends = [0.0, *warmup["wave_ends_s"]]
        durations = [end - start for start, end in itertools.pairwise(ends)]
        tokens = [rate * s for rate, s in zip(warmup["throughput"], durations, strict=True)]
        # Ten chunks, of which two begin an answer, and one more where the second slot began late.
        assert tokens == pytest.approx([14, 14, 14, 14], abs=2.1)
        assert sum(tokens) > 4 * 10 + 7 * 2 - 1
        counted = sum(request["counted"] for request in report["requests"])
        rate = counted / (window["end"] - window["start"])
        assert rate == pytest.approx(sum(tokens) / sum(durations), rel=0.05)

    def test_no_more_requests_than_slots(self, config: EngineConfig) -> None:
        report, _ = run(config, mode="closed", batch_size=3)
        for request in report["requests"]:
            moment = request["submitted"]
            alive = [
                r for r in report["requests"] if r["submitted"] <= moment < r["token_times"][-1]
            ]
            assert len(alive) <= 3

    def test_requests_that_straddle_an_edge_are_reported(
        self, config: EngineConfig, clock: Clock
    ) -> None:
        load = read(mode="closed", minimum_duration_s=0.5, warmup={"cap_s": 0.0})
        report = measure(TakingTurns(clock), config, load, emit=list[Report]().append)
        start, end = report["window"]["start"], report["window"]["end"]
        partial = [r for r in report["requests"] if r["counted"] < 5]
        assert {r["submitted"] < start for r in partial} == {True, False}
        assert {r["token_times"][-1] > end for r in partial} == {True, False}
        assert all(len(r["token_times"]) == 5 for r in partial)

    def test_an_engine_that_stops_early_is_found_out(self, config: EngineConfig) -> None:
        with pytest.raises(EngineError, match="instead of 5"):
            run(with_options(config, wave_fault="short"), mode="closed")
