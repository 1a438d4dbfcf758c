"""Load mode `open`: requests arrive at scheduled times, whatever is still in flight.

Latencies count from the scheduled arrival, so that no wait is left out when the engine, or this
process, falls behind. The window is a span of time: its arrivals are those of a schedule that all
configurations of a cycle share. The load runs on after it until its requests have ended.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from worker import arrivals
from worker.engines.base import Engine, EngineError, OpenLoad, Request
from worker.protocol import Event
from worker.recording import OpenRecord, RequestRecord, sample_outputs
from worker.warmup import Warmup
from worker.workload import Workload

PIECE_ARRIVALS, PIECE_S = 4.0, 0.5
"""The warm-up is judged by pieces of time with so many arrivals on average, and no shorter."""

RAMP = 2.0
"""A warm-up lasts at least so many times its first request: until then the load only builds up."""

LOOK_S = 0.02
"""How often the end is looked for after the window."""

LEAST_FOLLOW_S = 30.0
"""Requests of the window are followed for its length after it, and no shorter."""


class OpenStream(OpenLoad):
    """Hands out requests when they are due, and moves from warm-up to window to tail by the clock.

    Called from any thread of the engine.
    """

    def __init__(self, workload: Workload, warmup: Warmup, emit: Callable[[Event], None]) -> None:
        assert workload.arrivals is not None
        self._workload = workload
        self._recipe = workload.arrivals
        self._warmup = warmup
        self._emit = emit
        self._lock = threading.RLock()
        self.records: list[RequestRecord] = []
        """By request id."""
        self._counted_in_flight = 0
        """Requests that arrived in the window and have not ended."""
        self._piece_s = max(PIECE_S, PIECE_ARRIVALS / self._recipe.rate)
        self._phase = "first"
        self.start = self.end = self.tail_end = self._piece_start = time.monotonic()
        self._piece_tokens = 0
        self._ramp_s: float | None = None
        self._coming: Iterator[arrivals.Arrival]
        self._next: arrivals.Arrival
        self._origin = self.start
        self._begin(arrivals.WARM_UP, self.start)

    def first_request(self) -> Request:
        """Return a request that runs alone, before the schedule begins: it may compile."""
        first = arrivals.Arrival(0.0, 0, self._workload.output_tokens, None)
        return self._submit(first, time.monotonic())

    def begin(self) -> None:
        """Begin with the schedule, after the first request."""
        record = self.records[0]
        tokens = len(record.token_times)
        if not tokens:
            raise EngineError("the engine produced no token of the first request")
        assert record.open is not None
        record.open.ended = record.token_times[-1]
        over = self._warmup.add(record.submitted, record.token_times[-1], tokens)
        now = time.monotonic()
        self._phase = "warmup"
        self._piece_start, self._piece_tokens = now, 0
        self._begin(arrivals.WARM_UP, now)
        if over and self._workload.warmup.cap_s == 0.0:
            self._open_window()

    def wait_s(self) -> float | None:
        with self._lock:
            now = time.monotonic()
            self._advance(now)
            if self._phase == "over":
                return None
            edges = {
                "warmup": max(now + LOOK_S, self._piece_start + self._piece_s),
                "window": self.end,
                "tail": now + LOOK_S,
            }
            return max(0.0, min(self._origin + self._next.offset_s, edges[self._phase]) - now)

    def due(self, step: tuple[float, float] | None = None) -> Sequence[Request]:
        begun, ended = step or (0.0, 0.0)
        with self._lock:
            found: list[Request] = []
            while self._phase != "over":
                scheduled, now = self._origin + self._next.offset_s, time.monotonic()
                if scheduled > now:
                    break
                found.append(
                    self._submit(self._next, scheduled if begun <= scheduled <= ended else now)
                )
                self._next = next(self._coming)
            self._advance(time.monotonic())
            return found

    def on_tokens(self, request: Request, ids: Sequence[int]) -> None:
        self.records[request.id].add(ids)
        if self._phase == "warmup":
            with self._lock:
                self._piece_tokens += len(ids)

    def on_end(self, request: Request, fault: str | None = None) -> None:
        with self._lock:
            if self._phase == "over":  # cancelled: it was followed no further
                return
            now = time.monotonic()
            record = self.records[request.id]
            assert record.open is not None
            record.open.fault = fault
            record.open.ended = record.token_times[-1] if _whole(record) else now
            if self._ramp_s is None and self._phase == "warmup":
                self._ramp_s = now - record.open.scheduled
            if self._is_counted(record):
                self._counted_in_flight -= 1

    def _is_counted(self, record: RequestRecord) -> bool:
        assert record.open is not None
        opened = self._phase not in ("first", "warmup")
        return opened and self.start <= record.open.scheduled <= self.end

    def _begin(self, stretch: str, origin: float) -> None:
        self._origin = origin
        self._coming = arrivals.schedule(
            self._recipe, output_tokens=self._workload.output_tokens, stretch=stretch
        )
        self._next = next(self._coming)

    def _submit(self, arrival: arrivals.Arrival, submitted: float) -> Request:
        workload = self._workload
        prompt = arrivals.prompt_tokens(workload.prompts, arrival.number, arrival.input_tokens)
        scheduled = self._origin + arrival.offset_s
        record = RequestRecord(
            len(self.records),
            arrival.number % len(workload.prompts),
            None,
            submitted,
            open=OpenRecord(scheduled, len(prompt), arrival.output_tokens),
        )
        self.records.append(record)
        self._counted_in_flight += self._is_counted(record)
        return Request(record.number, prompt, arrival.output_tokens, workload.sampling)

    def _advance(self, now: float) -> None:
        if self._phase == "warmup":
            self._refuse_silence(now)
            if now >= self._piece_start + self._piece_s and self._piece_tokens:
                over = self._warmup.add(self._piece_start, now, self._piece_tokens)
                self._piece_start, self._piece_tokens = now, 0
                if over and self._ramped(now):
                    self._open_window()
        elif self._phase == "window":
            if now >= self.end:
                self._enter("tail")
        elif self._phase == "tail" and now >= self.end + self._workload.tail_s:
            follow_s = max(LEAST_FOLLOW_S, self._workload.minimum_duration_s)
            if not self._counted_in_flight or now >= self.end + follow_s:
                self._phase, self.tail_end = "over", now

    def _refuse_silence(self, now: float) -> None:
        """Raise EngineError where the engine has long produced nothing: a warm-up would not end."""
        longest_s = max(self._piece_s, self._workload.warmup.first_wave_deadline_s)
        if not self._piece_tokens and now >= self._piece_start + longest_s:
            faults = (record.open.fault for record in reversed(self.records) if record.open)
            last = next((fault for fault in faults if fault), "no request failed")
            raise EngineError(f"no token came for {longest_s:g} s of the warm-up; {last}")

    def _ramped(self, now: float) -> bool:
        return self._ramp_s is not None and now >= self._origin + RAMP * self._ramp_s

    def _open_window(self) -> None:
        self.start = self._enter("window")
        self.end = self.start + self._workload.minimum_duration_s
        self._begin(arrivals.WINDOW, self.start)

    def _enter(self, phase: str) -> float:
        """Enter a phase; return a time later than every token so far, which opens the window."""
        self._phase = phase
        now = time.monotonic()
        self._emit({"event": "phase", "name": phase, "t": now})
        return now


def measure_open(
    engine: Engine, workload: Workload, warmup: Warmup, emit: Callable[[Event], None]
) -> dict[str, Any]:
    """Run a first request alone, then warm-up, window and tail of one schedule."""
    emit({"event": "phase", "name": "warmup", "t": time.monotonic()})
    stream = OpenStream(workload, warmup, emit)
    engine.wave([stream.first_request()], stream.on_tokens)
    stream.begin()
    engine.serve(stream)
    inside = [r for r in stream.records if _concerns(r, stream.start, stream.end)]
    complete = [
        r
        for r in inside
        if r.open and r.open.input_tokens == len(workload.prompts[r.prompt]) and _whole(r)
    ]
    return {
        "warmup": warmup.report(),
        "window": {"start": stream.start, "end": stream.end, "waves": None, "passes": None},
        "tail": {"start": stream.end, "end": stream.tail_end},
        "requests": [record.to_json(stream.start, stream.end) for record in inside],
        "sample_outputs": sample_outputs(complete),
    }


def _whole(record: RequestRecord) -> bool:
    assert record.open is not None
    return record.open.fault is None and len(record.token_times) == record.open.requested


def _concerns(record: RequestRecord, start: float, end: float) -> bool:
    """Return True for requests that arrived until the window's end, and had not ended before it."""
    assert record.open is not None
    return record.open.scheduled <= end and (record.open.ended or end) >= start
