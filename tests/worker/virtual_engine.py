"""An engine in virtual time: queueing without a machine, so that its numbers can be worked out.

Requests are served in order of arrival in a number of slots, each with a time of its own to the
first token and from token to token. Time passes only where the engine or the load waits.
"""

import heapq
import itertools
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from worker.engines.base import Engine, OnTokens, OpenLoad, Request
from worker.open import OpenStream
from worker.workload import EngineConfig

Span = tuple[float, float]


class Clock:
    """Time that passes in sleeps only, and a moment at each look at it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        self.now += 1e-7
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def virtual_clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Replaces the clock of this process."""
    return replace_clock(monkeypatch)


def replace_clock(patch: pytest.MonkeyPatch) -> Clock:
    """Replace the clock of this process until the patch is undone."""
    clock = Clock()
    patch.setattr(time, "monotonic", clock.monotonic)
    patch.setattr(time, "sleep", clock.sleep)
    return clock


class VirtualEngine(Engine):
    """Serves in virtual time; spans count from the start of the window."""

    LOAD_MODES = frozenset({"open"})

    def __init__(
        self,
        clock: Clock,
        *,
        slots: int,
        prefill_s: float,
        token_s: float,
        stall: Span | None = None,
        client_stop: Span | None = None,
        fails: Callable[[int], bool] = lambda _: False,
        cuts: Callable[[int], bool] = lambda _: False,
    ) -> None:
        self._clock = clock
        self._slots = slots
        self._prefill_s, self._token_s = prefill_s, token_s
        self._stall, self._client_stop = stall, client_stop
        self._fails, self._cuts = fails, cuts
        self.in_flight_at: dict[int, int] = {}
        """Whole seconds of the window -> requests in flight."""

    def load(self, config: EngineConfig) -> dict[str, Any]:
        raise NotImplementedError

    def version(self) -> str:
        return "virtual"

    def tokenize(self, model_path: str, texts: Sequence[str], **_: Any) -> list[list[int]]:
        raise NotImplementedError

    def wave(self, requests: Sequence[Request], on_tokens: OnTokens) -> None:
        for request in requests:
            for step in range(request.output_tokens):
                self._clock.sleep(self._token_s if step else self._prefill_s)
                on_tokens(request, [7])

    def serve(self, load: OpenLoad) -> None:
        assert isinstance(load, OpenStream)
        waiting: deque[Request] = deque()
        events: list[tuple[float, int, Request, int]] = []
        order = itertools.count()

        def fill() -> None:
            while waiting and len(events) < self._slots:
                request = waiting.popleft()
                first = self._after(load, self._clock.now, self._prefill_s)
                heapq.heappush(events, (first, next(order), request, 0))

        while (wait_s := load.wait_s()) is not None:
            due = self._clock.now + wait_s
            self._clock.now = max(self._clock.now, min(due, events[0][0] if events else due))
            stop = self._absolute(load, self._client_stop)
            if stop and stop[0] <= self._clock.now < stop[1]:
                self._clock.now = stop[1]
            while events and events[0][0] <= self._clock.now:
                moment, _, request, step = heapq.heappop(events)
                if not self._fails(request.id):
                    load.on_tokens(request, [7])
                wanted = request.output_tokens - self._cuts(request.id)
                if self._fails(request.id):
                    load.on_end(request, "it failed")
                elif step + 1 == wanted:
                    load.on_end(request)
                else:
                    following = self._after(load, moment, self._token_s)
                    heapq.heappush(events, (following, next(order), request, step + 1))
                fill()
            waiting.extend(load.due())
            fill()
            if load.start < load.end:
                second = int(self._clock.now - load.start)
                self.in_flight_at[second] = len(waiting) + len(events)

    def _after(self, load: OpenStream, moment: float, work_s: float) -> float:
        """Return when work is done that would begin at a moment; in a stall none begins."""
        stall = self._absolute(load, self._stall)
        return (stall[1] if stall and stall[0] <= moment < stall[1] else moment) + work_s

    def _absolute(self, load: OpenStream, span: Span | None) -> Span | None:
        if span is None or load.end <= load.start:
            return None
        return load.start + span[0], load.start + span[1]
