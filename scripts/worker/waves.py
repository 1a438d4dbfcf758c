"""Load mode `waves`: batch_size requests are submitted together, and all are awaited."""

import time
from collections.abc import Callable
from typing import Any

from worker.engines.base import Engine
from worker.protocol import Event
from worker.recording import Recorder, RequestRecord, sample_outputs
from worker.warmup import Warmup
from worker.workload import Workload


class Waves:
    """The waves of one workload, each with the prompts of its place in the pass."""

    def __init__(self, engine: Engine, workload: Workload) -> None:
        self._engine = engine
        self._size, self._waves_per_pass = workload.batch_size, workload.waves_per_pass
        self.recorder = Recorder(workload)

    def run(self, number: int) -> list[RequestRecord]:
        """Run wave `number`, counted from 0 over passes."""
        first = len(self.recorder.records)
        places = range(number * self._size, (number + 1) * self._size)
        requests = [self.recorder.submit(place, wave=number) for place in places]
        self._engine.wave(requests, self.recorder.on_tokens)
        records = self.recorder.records[first:]
        self.recorder.check_complete(records)
        return records

    def window(self, passes: int, minimum_duration_s: float) -> tuple[list[RequestRecord], int]:
        """Run whole passes over the prompts; return their requests and how many passes there were.

        More than `passes` where an engine that is faster than its fastest warm-up pass needs them
        to keep the minimum duration. Stopping by time favours slow last passes; the bias of the
        mean is below the spread of a pass divided by the number of passes.
        """
        records: list[RequestRecord] = []
        done = 0
        while done < passes or last_token(records) - records[0].submitted < minimum_duration_s:
            for place in range(self._waves_per_pass):
                records += self.run(done * self._waves_per_pass + place)
            done += 1
        return records, done


def measure_waves(
    engine: Engine, workload: Workload, warmup: Warmup, emit: Callable[[Event], None]
) -> dict[str, Any]:
    """Run a warm-up, a window of whole passes over the prompts, and a tail of the same waves."""
    waves = Waves(engine, workload)
    emit({"event": "phase", "name": "warmup", "t": time.monotonic()})
    while True:
        records = waves.run(warmup.waves)
        waves.recorder.recount(engine, records)  # the waves of the window are counted so, too
        tokens = sum(len(record.token_times) for record in records)
        if warmup.add(records[0].submitted, last_token(records), tokens):
            break

    emit({"event": "phase", "name": "window", "t": time.monotonic()})
    window, passes = waves.window(warmup.window_passes(), workload.minimum_duration_s)
    start, end = window[0].submitted, last_token(window)

    emit({"event": "phase", "name": "tail", "t": time.monotonic()})
    number = 0
    while time.monotonic() < end + workload.tail_s:
        waves.run(number)
        number += 1
    waves.recorder.recount(engine, window)
    return {
        "warmup": warmup.report(),
        "window": {
            "start": start,
            "end": end,
            "waves": passes * workload.waves_per_pass,
            "passes": passes,
        },
        "tail": {"start": end, "end": time.monotonic()},
        "requests": [record.to_json(start, end) for record in window],
        "sample_outputs": sample_outputs(window),
    }


def last_token(records: list[RequestRecord]) -> float:
    """Return the time of the last token of these requests."""
    return max(record.token_times[-1] for record in records)
