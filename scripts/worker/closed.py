"""Load mode `closed`: a constant number of requests in flight, each replaced when it completes.

For the warm-up, a wave is as many tokens as a wave of the same size would give. Where tokens are
counted in whole answers, it is as many chunks, and its tokens are counted when all is over.
"""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from worker.engines.base import Engine, Request
from worker.protocol import Event
from worker.recording import Recorder, sample_outputs
from worker.warmup import Warmup
from worker.workload import Workload


class Stream:
    """Feeds one stream of requests and moves from warm-up to window to tail by its tokens.

    Called from any thread of the engine. The window opens after a token, when every slot has
    decoded, and closes at a token, while every slot is still fed.
    """

    def __init__(self, workload: Workload, warmup: Warmup, emit: Callable[[Event], None]) -> None:
        self._workload = workload
        self._warmup = warmup
        self._emit = emit
        self._lock = threading.Lock()
        self._wave_tokens = workload.batch_size * workload.output_tokens
        self._tokens = 0
        """Tokens since the last wave of the warm-up, or in the window."""
        self._wave_start = time.monotonic()
        self._decoding: set[int] = set()
        self._phase = "warmup"
        self.recorder = Recorder(workload)
        self.start = self.end = self.tail_end = self._wave_start

    def take(self) -> Request | None:
        """Return the next request, None once the tail is over."""
        with self._lock:
            if self._phase == "over":
                return None
            return self.recorder.submit(len(self.recorder.records))

    def on_tokens(self, request: Request, ids: Sequence[int]) -> None:
        with self._lock:
            now = self.recorder.on_tokens(request, ids)
            self._tokens += len(ids)
            if self._phase == "warmup":
                self._decoding.add(request.id)
                self._warm_up(now)
            elif self._phase == "window":
                self._run_window(now)
            elif self._phase == "tail" and now >= self.end + self._workload.tail_s:
                self._phase, self.tail_end = "over", now

    def _warm_up(self, now: float) -> None:
        if self._tokens < self._wave_tokens:
            return
        over = self._warmup.add(self._wave_start, now, self._tokens)
        self._wave_start, self._tokens = now, 0
        if over and len(self._decoding) >= self._workload.batch_size:
            self.start = self._enter("window")

    def _run_window(self, now: float) -> None:
        long_enough = now - self.start >= self._workload.minimum_duration_s
        if long_enough and self._tokens >= self._workload.minimum_waves * self._wave_tokens:
            self.end = now
            self._enter("tail")

    def _enter(self, phase: str) -> float:
        """Enter a phase; return a time later than every token so far, which opens the window."""
        self._phase, self._tokens = phase, 0
        now = time.monotonic()
        self._emit({"event": "phase", "name": phase, "t": now})
        return now


def measure_closed(
    engine: Engine, workload: Workload, warmup: Warmup, emit: Callable[[Event], None]
) -> dict[str, Any]:
    """Run warm-up, window and tail of one uninterrupted stream."""
    emit({"event": "phase", "name": "warmup", "t": time.monotonic()})
    stream = Stream(workload, warmup, emit)
    engine.stream(stream.take, workload.batch_size, stream.on_tokens)
    records = stream.recorder.records
    stream.recorder.check_complete(records)
    if stream.recorder.recount(engine, records):
        warmup.recount(sorted(time for record in records for time in record.token_times))
    inside = [r for r in records if r.submitted <= stream.end and r.token_times[-1] >= stream.start]
    return {
        "warmup": warmup.report(),
        "window": {"start": stream.start, "end": stream.end, "waves": None, "passes": None},
        "tail": {"start": stream.end, "end": stream.tail_end},
        "requests": [record.to_json(stream.start, stream.end) for record in inside],
        "sample_outputs": sample_outputs(inside),
    }
