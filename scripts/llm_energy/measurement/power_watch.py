"""The host's part in a warm-up: whether power and temperature are steady while the load runs.

The worker knows its waves and nothing of power; it tells the host of each wave, and goes on until
the host has sent `steady` too. Nobody waits for anybody: the host's verdict counts from the next
wave on, and none is needed inside the window.

Power is averaged over whole waves of together at least a second: pieces of a wave differ by what
the engine does in them (prefill, decode) although nothing drifts. Samples of power depend on each
other, which makes the interval of the trend somewhat too narrow for means this short.
"""

from collections.abc import Callable, Sequence

from llm_energy.power.accounting import total
from llm_energy.power.meter import Device
from llm_energy.power.sensor import Method, Sensor
from llm_energy.power.series import Series
from llm_energy.results.parts import PowerSteadiness
from worker.protocol import Event
from worker.steady import STEADY, Verdict, judge_trend
from worker.workload import WarmupRules

SPAN_S = 30.0
"""Time over which power and temperature must have been steady."""

CAP_SHARE = 6.0
"""A warm-up with a short cap tests a shorter time: this part of the cap (30 s of 180 s)."""

LEAST_SPAN_S = 5.0
"""A shorter time says nothing of power: then the waves alone decide."""

MEAN_S = 1.0
LEAST_MEANS = 5

TEMPERATURE_RANGE_CELSIUS = 1.0
"""Largest difference of temperatures within the time; NVML gives whole degrees."""


def span_s(cap_s: float) -> float | None:
    """How long power is tested in a warm-up with this cap; None where the cap is too short."""
    span = min(SPAN_S, cap_s / CAP_SHARE)
    return span if span >= LEAST_SPAN_S else None


class PowerWatch:
    """Follows the events of one measurement and reports its verdict when it changes."""

    def __init__(
        self,
        devices: Sequence[Device],
        *,
        method: Method,
        span_s: float,
        rules: WarmupRules,
        series: Callable[[float], Series],
        report: Callable[[bool], None],
    ) -> None:
        """`series` gives the readings since a moment; `report` takes the verdict to the worker."""
        self._devices = devices
        self._method = method
        self._span_s = span_s
        self._rules = rules
        self._series = series
        self._report = report
        self._edges: list[float] = []
        self._reported = False
        self.verdict = PowerSteadiness(verdict="too_short", span_s=span_s)

    def on_event(self, event: Event) -> None:
        """Take one event of the worker; waves are those of the warm-up."""
        if event["event"] != "wave":
            return
        # The first wave may have compiled: the test begins where it ends.
        if self._edges and event["t1"] - self._edges[-1] < MEAN_S:
            return
        self._edges.append(event["t1"])
        if len(self._edges) <= LEAST_MEANS:
            return
        self.verdict = self.judge(self._series(self._edges[0] - 1.0))
        if (steady := self.verdict.verdict == STEADY) != self._reported:
            self._report(steady)
            self._reported = steady

    def judge(self, series: Series) -> PowerSteadiness:
        """The verdict on what was read so far."""
        sensors = [Sensor(device, series) for device in self._devices]
        means = [
            (start, end, watts)
            for start, end in zip(self._edges, self._edges[1:], strict=False)
            if (watts := _watts(sensors, self._method, start, end)) is not None
        ]
        if len(means) < LEAST_MEANS or means[-1][1] - means[0][0] < self._span_s:
            return PowerSteadiness(verdict="too_short", span_s=self._span_s)
        since = min(means[-1][1] - self._span_s, means[-LEAST_MEANS][0])
        tested = [watts for start, _, watts in means if start >= since]
        trend = judge_trend(
            tested,
            places=1,
            cv_threshold=self._rules.cv_threshold,
            bound=self._rules.bound,
            maximum_bound=self._rules.maximum_bound,
        )
        ranges = [_temperature_range(sensor, since, means[-1][1]) for sensor in sensors]
        known = [celsius for celsius in ranges if celsius is not None]
        return _together(trend, max(known, default=None), self._span_s)


def _watts(sensors: Sequence[Sensor], method: Method, start: float, end: float) -> float | None:
    """Mean power of all devices; None while one of them has no reading after `end` yet."""
    joules = total(sensor.energy(method, start, end).joules for sensor in sensors)
    return None if joules is None else joules / (end - start)


def _temperature_range(sensor: Sensor, start: float, end: float) -> float | None:
    """Highest less lowest temperature in °C; None where the device gives none."""
    read = [state.temperature_celsius for state in sensor.states(start, end)]
    known = [celsius for celsius in read if celsius is not None]
    return max(known) - min(known) if known else None


def _together(trend: Verdict, range_celsius: float | None, span: float) -> PowerSteadiness:
    warming = range_celsius is not None and range_celsius > TEMPERATURE_RANGE_CELSIUS
    return PowerSteadiness(
        verdict="temperature_changes" if trend.steady and warming else trend.verdict,
        span_s=span,
        trend_interval=trend.trend_interval,
        bound=trend.bound,
        temperature_range_celsius=range_celsius,
    )
