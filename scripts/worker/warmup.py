"""Progress of a warm-up: its waves so far, its end, its verdict."""

import math
from collections.abc import Callable
from typing import Any

from worker import steady
from worker.protocol import Event
from worker.workload import WarmupRules


class Warmup:
    """Follows warm-up waves; over when they are steady, or when the cap is reached."""

    def __init__(
        self,
        rules: WarmupRules,
        *,
        waves_per_pass: int,
        emit: Callable[[Event], None],
        host_steady: Callable[[], bool],
    ) -> None:
        self._rules = rules
        self._waves_per_pass = waves_per_pass
        self._emit = emit
        self._host_steady = host_steady
        self._waves: list[tuple[float, float, int]] = []
        self._verdict = steady.Verdict(steady.TOO_FEW_WAVES)

    @property
    def waves(self) -> int:
        return len(self._waves)

    @property
    def steady(self) -> bool:
        """True once the waves are steady and, if awaited, power by the host's verdict."""
        return self._verdict.steady and (not self._rules.await_host or self._host_steady())

    @property
    def capped(self) -> bool:
        """True once the cap has passed."""
        return self._after_first_s >= self._rules.cap_s

    @property
    def _after_first_s(self) -> float:
        """Time from the end of the first wave, which may have compiled, to the end of the last."""
        return self._waves[-1][1] - self._waves[0][1]

    def add(self, start: float, end: float, tokens: int) -> bool:
        """Add one wave (times in s on CLOCK_MONOTONIC); return True once the warm-up is over."""
        self._waves.append((start, end, tokens))
        self._verdict = steady.judge(
            self.throughput(), waves_per_pass=self._waves_per_pass, rules=self._rules
        )
        self._emit({"event": "wave", "t0": start, "t1": end, "tokens": tokens})
        return (self.steady or self.capped) and self._after_first_s >= self._rules.minimum_s

    def throughput(self) -> list[float]:
        """Return the output tokens per second of each wave."""
        return [tokens / (end - start) for start, end, tokens in self._waves]

    def pass_time_s(self) -> float:
        """Return the time of the fastest pass over the prompt set: the sum of its shortest waves.

        The first wave counts only where there is no other: it may have compiled. The fastest one,
        so that a window of whole passes keeps its minimum duration.
        """
        shortest: dict[int, float] = {}
        for number, (start, end, _) in list(enumerate(self._waves))[-max(1, self.waves - 1) :]:
            place = number % self._waves_per_pass
            shortest[place] = min(end - start, shortest.get(place, math.inf))
        return math.fsum(shortest.values()) / len(shortest) * self._waves_per_pass

    def report(self) -> dict[str, Any]:
        """Return the warm-up as the result keeps it."""
        first_start, first_end, _ = self._waves[0]
        interval = self._verdict.trend_interval
        return {
            "start": first_start,
            "end": self._waves[-1][1],
            "first_wave_s": first_end - first_start,
            "throughput": self.throughput(),
            "steady": self.steady,
            "capped": self.capped and not self.steady,
            "verdict": self._verdict.verdict,
            "cv": self._verdict.coefficient_of_variation,
            "trend_interval": None if interval is None else list(interval),
            "bound": self._verdict.bound,
        }
