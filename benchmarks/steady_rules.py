"""The rules that end a warm-up and judge its window, for many simulated runs side by side.

`protocol_2` is the rule of protocols 1 and 2, kept for comparison. `protocol_3` is that of
scripts/worker/steady.py in numpy, for waves of equal length that are all alike; `worker_verdict`
runs the worker's own code on one run, and `steady_state.py` checks that both agree.
"""

import math
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from worker import courses, steady
from worker.courses import MOST_VALUES, Wave
from worker.warmup import LONGER, Warmup
from worker.workload import Sampling, WarmupRules, Workload

Array = NDArray[np.float64]
LEAST_S = 1.0
"""The tail's length, and the least time of a warm-up after its first wave."""


@dataclass(frozen=True)
class Timing:
    """A campaign's cap, the least length of its windows, and the length of its waves, in s."""

    cap_s: float
    least_window_s: float
    wave_s: float

    @property
    def waves_to_cap(self) -> int:
        return 1 + math.ceil(max(self.cap_s, LEAST_S) / self.wave_s)

    @property
    def window_waves(self) -> int:
        return max(3, math.ceil(self.least_window_s / self.wave_s))

    @property
    def window_s(self) -> float:
        return self.window_waves * self.wave_s


@dataclass(frozen=True)
class Declared:
    """For each run: its stated bound, and True where it was declared steady."""

    bound: Array
    steady: NDArray[np.bool_]


def protocol_2(values: Array, timing: Timing) -> tuple[NDArray[np.int64], Declared]:
    """Test the later half of the waves after the first, at each wave; return the waves too."""
    runs = len(values)
    waves = np.zeros(runs, dtype=np.int64)
    bound = np.full(runs, np.nan)
    for seen in range(4, timing.waves_to_cap + 1):
        if (seen - 1) * timing.wave_s < LEAST_S:
            continue
        tested = values[:, max(1, seen - max(8, (seen - 1) // 2)) : seen]
        tested = tested / tested.mean(axis=1, keepdims=True) - 1.0
        size = tested.shape[1]
        order = np.arange(size) - (size - 1) / 2.0
        slope = tested @ order / (order @ order)
        residual = ((tested - slope[:, None] * order) ** 2).sum(axis=1)
        error = np.sqrt(residual / (size - 2) / (order @ order)) * (size - 1)
        half_width = stats.t.ppf(0.95, size - 2) * error
        limit = np.clip(2.0 * half_width, 0.01, 0.03)
        variation = tested.std(axis=1, ddof=1)
        inside = np.abs(slope * (size - 1)) + half_width <= limit
        first = inside & (variation <= 0.1) & (waves == 0)
        waves[first], bound[first] = seen, limit[first]
    return np.where(waves, waves, timing.waves_to_cap), Declared(bound, waves > 0)


def warmup_waves(values: Array, timing: Timing) -> NDArray[np.int64]:
    """Return the waves of each warm-up by protocol 3."""
    waves = np.full(len(values), timing.waves_to_cap)
    going, judged_s = np.arange(len(values)), 0.0
    for seen in range(2, timing.waves_to_cap):
        after_s = (seen - 1) * timing.wave_s
        if after_s < LEAST_S or after_s < LONGER * judged_s:
            continue
        judged_s = after_s
        if not suffice(seen - 1, timing):
            continue
        series = Series(values[going, 1:seen], timing.wave_s)
        if timing.cap_s < steady.SHORT_CAP_S:
            between_means_s = (after_s + timing.window_s) / 2.0
            bound = series.limit(series.times_s, between_means_s, steady._AHEAD)
        else:
            window = (after_s, after_s + timing.window_s)
            bound = window_limit(values[going, 1:seen], timing, window, steady._AHEAD)
        over = bound <= steady.LEAST_BOUND
        waves[going[over]] = seen
        if not (going := going[~over]).size:
            break
    return waves


def protocol_3(values: Array, timing: Timing, waves: NDArray[np.int64]) -> Declared:
    """Judge the windows after warm-ups of so many waves."""
    bound, declared = np.empty(len(values)), np.empty(len(values), dtype=bool)
    for count in np.unique(waves):
        runs = waves == count
        of_window = slice(1, count + timing.window_waves)
        bound[runs], declared[runs] = _judge(values[runs, of_window], timing, count - 1)
    return Declared(bound, declared)


def worker_verdict(rates: Array, timing: Timing, waves: int) -> tuple[int, steady.Verdict]:
    """Return the waves of the warm-up and the verdict by the worker's code for one run."""
    rules = WarmupRules(timing.cap_s, 900.0, steady.LEAST_BOUND, minimum_s=LEAST_S)
    load = Workload("waves", 1, 1, ((1,),), Sampling(), timing.least_window_s, 1.0, rules)
    warmup = Warmup(load, emit=lambda _: None, host_steady=lambda: True)
    wave_s, seen = timing.wave_s, 0
    while not warmup.add(seen * wave_s, (seen + 1) * wave_s, rates[seen] * wave_s):  # type: ignore[arg-type]
        seen += 1
    series = [Wave(n * wave_s, (n + 1) * wave_s, rate * wave_s) for n, rate in enumerate(rates)]
    window = (waves * wave_s, (waves + timing.window_waves) * wave_s)
    of_window = series[1 : waves + timing.window_waves]
    return warmup.waves, steady.judge(of_window, window=window, cap_s=timing.cap_s)


def _judge(values: Array, timing: Timing, before: int) -> tuple[Array, NDArray[np.bool_]]:
    opened_s = before * timing.wave_s
    window = (opened_s, opened_s + timing.window_s)
    series = Series(values, timing.wave_s)
    if timing.cap_s < steady.SHORT_CAP_S:
        course = (series.times_s > opened_s).astype(float)
        bound = series.limit(course, 1.0, steady._AFTER)
    else:
        course = np.exp(-series.times_s / steady.SLOWEST_S)
        bound = window_limit(values, timing, window, steady._AFTER)
    since = max(0, before - timing.window_waves)
    near = Series(values[:, since:], timing.wave_s)
    step = near.step_limit(opened_s - since * timing.wave_s, timing.window_s)
    seen = series.visible(series.times_s) | series.visible(course) | (step > 0.0)
    bound = np.maximum(np.maximum(bound, step), steady.LEAST_BOUND)
    if timing.cap_s < steady.SHORT_CAP_S:
        return bound, ~seen & (bound <= steady.SEEN_LIMIT)
    return bound, bound <= np.where(seen, steady.SEEN_LIMIT, steady.HIDDEN_LIMIT)


def suffice(waves: int, timing: Timing) -> bool:
    """Return True where so many waves may end a warm-up."""
    span_s, least_s = waves * timing.wave_s, steady.LEAST_SPAN_SHARE * timing.window_s
    return waves >= steady.LEAST_WAVES and span_s >= least_s


def window_limit(values: Array, timing: Timing, window: tuple[float, float], level: float) -> Array:
    """Limit the bias by all waves, and by the later ones where those moved visibly."""
    limit, moved = Series(values, timing.wave_s).bias_limit(window, level)
    if not moved.any():
        return limit
    first = math.ceil(round(window[0] / timing.wave_s) / 2.0)
    start_s, later = first * timing.wave_s, values[moved, first:]
    count = later.shape[1]
    if level == steady._AHEAD and not suffice(count, timing):
        limit[moved] = np.inf
    elif count > 3:
        since = (window[0] - start_s, window[1] - start_s)
        found, _ = Series(later, timing.wave_s).bias_limit(since, level)
        limit[moved] = np.maximum(limit[moved], found)
    return limit


class Series:
    """As worker/courses.py, one row for each run; times from the start of the first wave."""

    def __init__(self, values: Array, wave_s: float) -> None:
        count = values.shape[1]
        self._values = values / values.mean(axis=1, keepdims=True) - 1.0
        self.times_s = (np.arange(count) + 0.5) * wave_s
        self._span_s = count * wave_s
        if count > MOST_VALUES:
            size = math.ceil(count / MOST_VALUES)
            whole = self._values[:, count % size :]
            self._values = whole.reshape(len(values), -1, size).mean(axis=2)
            self.times_s = self.times_s[count % size :].reshape(-1, size).mean(axis=1)
        self._count = self._values.shape[1]

    def limit(self, course: Array, change: float, level: float) -> Array:
        slope, error, *_ = self._fit(course)
        return (np.abs(slope) + self._quantile(level) * error) * abs(change)

    def visible(self, course: Array, level: float = steady._VISIBLE) -> NDArray[np.bool_]:
        slope, error, *_ = self._fit(course)
        return np.abs(slope) > self._quantile(level) * error

    def bias_limit(
        self, window: tuple[float, float], level: float
    ) -> tuple[Array, NDArray[np.bool_]]:
        changes = [(self.times_s, window[1] - window[0])]
        tau_s = steady.SLOWEST_S
        while tau_s == steady.SLOWEST_S or tau_s >= self._span_s / min(40, self._count):
            changes.append((np.exp(-self.times_s / tau_s), steady._mean_left(tau_s, *window)))
            tau_s /= steady._FINER
        fits = [self._fit(course) for course, _ in changes]
        residual = np.array([fit[2] for fit in fits])
        best = residual.argmin(axis=0)
        variance = np.array([fit[3] for fit in fits])[best, np.arange(len(best))]
        limits = [
            (np.abs(slope) + self._quantile(level) * error)
            * change
            / np.maximum(0.5, 1.0 - slope * course.mean())
            for (slope, error, *_), (course, change) in zip(fits, changes, strict=True)
        ]
        allowed = self._quantile(steady._ALLOWED) ** 2 * variance
        limit = np.where(residual - residual.min(axis=0) <= allowed, limits, 0.0).max(axis=0)
        ratios = np.array([np.abs(slope) / error for slope, error, *_ in fits])
        return limit, ratios.max(axis=0) > self._quantile(steady._ALLOWED)

    def step_limit(self, opened_s: float, length_s: float) -> Array:
        splits: dict[int, float] = {}
        for share in np.arange(steady._BLOCKS) / steady._BLOCKS:
            before = int((self.times_s <= opened_s + length_s * share).sum())
            if 2 <= before <= self._count - 2:
                splits.setdefault(before, share)
        limit = np.zeros(len(self._values))
        level = 1.0 - (1.0 - steady._VISIBLE) / max(1, len(splits))
        for share in splits.values():
            course = (self.times_s > opened_s + length_s * share).astype(float)
            found = self.limit(course, max(share, 1.0 - share), steady._AFTER)
            limit = np.maximum(limit, np.where(self.visible(course, level), found, 0.0))
        return limit

    def _quantile(self, level: float) -> float:
        return float(stats.t.ppf(level, self._count - 2))

    def _fit(self, course: Array) -> tuple[Array, Array, Array, Array]:
        """Return slope, standard error, residual and variance of each run."""
        steps = course - course.mean()
        slope = self._values @ steps / (steps @ steps)
        rest = self._values - slope[:, None] * steps
        residual = (rest**2).sum(axis=1)
        seen = (rest[:, 1:] * rest[:, :-1]).sum(axis=1) / residual
        correlation = np.minimum(seen + (1.0 + 4.0 * seen) / self._count, 0.9)
        chance = correlation * math.sqrt(self._count) < courses._CORRELATED
        widening = np.where(chance, 1.0, (1.0 + correlation) / (1.0 - correlation))
        variance = residual / (self._count - 2) * (widening if self._count >= 8 else 1.0)
        return slope, np.sqrt(variance / (steps @ steps)), residual, variance
