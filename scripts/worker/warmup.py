"""Progress of a warm-up: its waves so far, and its end."""

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from worker import steady
from worker.courses import Wave
from worker.protocol import Event
from worker.workload import Workload

LONGER = 1.1
"""The waves are judged again after the warm-up has become longer by this factor."""


class Warmup:
    """Follows warm-up waves; over when they leave little bias, or when the cap is reached."""

    def __init__(
        self,
        workload: Workload,
        *,
        emit: Callable[[Event], None],
        host_steady: Callable[[], bool],
    ) -> None:
        self._workload = workload
        self._rules = workload.warmup
        self._emit = emit
        self._host_steady = host_steady
        self._waves: list[Wave] = []
        self._judged_s = 0.0
        self._bound: float | None = None

    @property
    def waves(self) -> int:
        return len(self._waves)

    @property
    def passed(self) -> bool:
        """True once the bound is reached and, if awaited, that of power by the host's verdict."""
        if self._bound is None or self._bound > self._rules.bound:
            return False
        return not self._rules.await_host or self._host_steady()

    @property
    def capped(self) -> bool:
        """True once the cap has passed."""
        return self._after_first_s >= self._rules.cap_s

    @property
    def _after_first_s(self) -> float:
        """Time from the end of the first wave, which may have compiled, to the end of the last."""
        return self._waves[-1].end_s - self._waves[0].end_s

    def add(self, start: float, end: float, tokens: int) -> bool:
        """Add one wave (times in s on CLOCK_MONOTONIC); return True once the warm-up is over."""
        place = self.waves % self._workload.waves_per_pass
        self._waves.append(Wave(start, end, tokens, place))
        long_enough = self._after_first_s >= self._rules.minimum_s
        if self.capped or (long_enough and self._after_first_s >= LONGER * self._judged_s):
            self._judged_s = self._after_first_s
            self._bound = steady.bound_ahead(
                self._waves[1:], window_s=self.window_s(), rules=self._rules
            )
        self._emit({"event": "wave", "t0": start, "t1": end, "tokens": tokens})
        return long_enough and (self.passed or self.capped)

    def recount(self, times: Sequence[float]) -> None:
        """Count the tokens of the waves anew.

        Args:
            times: of all tokens, in ascending order, none of them before the first wave.
        """
        edges = [0, *(bisect_right(times, wave.end_s) for wave in self._waves)]
        counts = [last - first for first, last in pairwise(edges)]
        pairs = zip(self._waves, counts, strict=True)
        self._waves = [wave._replace(amount=tokens) for wave, tokens in pairs]

    def window_passes(self) -> int:
        """Return the whole passes of a window that keeps its least duration and waves."""
        workload = self._workload
        return max(
            math.ceil(workload.minimum_duration_s / self.pass_time_s()),
            math.ceil(workload.minimum_waves / workload.waves_per_pass),
        )

    def window_s(self) -> float:
        """Return how long the window will be."""
        workload = self._workload
        if workload.mode == "open":
            return workload.minimum_duration_s
        if workload.mode == "waves":
            return self.window_passes() * self.pass_time_s()
        wave_s = self.pass_time_s() / workload.waves_per_pass
        return max(workload.minimum_duration_s, workload.minimum_waves * wave_s)

    def pass_time_s(self) -> float:
        """Return the time of the fastest pass over the prompt set: the sum of its shortest waves.

        The first wave counts only where there is no other: it may have compiled. The fastest one,
        so that a window of whole passes keeps its minimum duration.
        """
        places = self._workload.waves_per_pass
        shortest: dict[int, float] = {}
        for number, wave in list(enumerate(self._waves))[-max(1, self.waves - 1) :]:
            place, duration_s = number % places, wave.end_s - wave.start_s
            shortest[place] = min(duration_s, shortest.get(place, math.inf))
        return math.fsum(shortest.values()) / len(shortest) * places

    def report(self) -> dict[str, Any]:
        """Return the account of the warm-up that its judgement after the window needs."""
        first = self._waves[0]
        return {
            "start": first.start_s,
            "end": self._waves[-1].end_s,
            "first_wave_s": first.end_s - first.start_s,
            "throughput": [wave.rate for wave in self._waves],
            "wave_ends_s": [wave.end_s - first.start_s for wave in self._waves],
            "capped": self.capped and not self.passed,
        }
