"""The host's part in a warm-up: whether power and temperature are steady while the load runs.

The worker knows its waves and nothing of power. It reports each wave to the host, and goes on until
the host has sent `steady` too. Neither waits for the other: the host's verdict counts from the
next wave on, and none is needed inside the window.

Power is judged by the rule of the waves (worker/steady.py), on means over whole waves of together
at least a second (steadiness.py). How steady it was is judged after the window.
"""

from collections.abc import Callable, Sequence

from llm_energy.measurement.steadiness import MEAN_S, mean_powers
from llm_energy.power.meter import Device
from llm_energy.power.sensor import Method, Sensor
from llm_energy.power.series import Series
from llm_energy.results.parts import PowerSteadiness
from worker.protocol import Event
from worker.steady import NOT_STEADY, STEADY, bound_ahead
from worker.workload import WarmupRules

SPAN_S = 30.0
"""Time over which power must have been seen, and temperature must have been constant."""

CAP_SHARE = 6.0
"""A warm-up with a short cap tests a shorter time: this part of the cap (30 s of 180 s)."""

LEAST_SPAN_S = 5.0
"""A shorter time says nothing of power: then the waves alone decide."""

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
        window_s: float,
        rules: WarmupRules,
        series: Callable[[float], Series],
        report: Callable[[bool], None],
    ) -> None:
        """Follow a warm-up for a window of `window_s`.

        `series` gives the readings since a moment; `report` takes the verdict to the worker.
        """
        self._devices = devices
        self._method = method
        self._span_s = span_s
        self._window_s = window_s
        self._rules = rules
        self._series = series
        self._report = report
        self._edges: list[float] = []
        self._passed = False
        self.verdict = PowerSteadiness(verdict="too_short", span_s=span_s)

    def on_event(self, event: Event) -> None:
        """Take one event of the worker; waves are those of the warm-up."""
        if event["event"] != "wave":
            return
        # The first wave may have compiled: the test begins where it ends.
        if self._edges and event["t1"] - self._edges[-1] < MEAN_S:
            return
        self._edges.append(event["t1"])
        before = self._passed
        self.verdict = self._judge(self._series(self._edges[0] - 1.0))
        if self._passed != before:
            self._report(self._passed)

    def _judge(self, series: Series) -> PowerSteadiness:
        self._passed = False
        sensors = [Sensor(device, series) for device in self._devices]
        means = list(mean_powers(sensors, self._method, self._edges))
        bound = bound_ahead(means, window_s=self._window_s, rules=self._rules)
        if bound is None or means[-1].end_s - means[0].start_s < self._span_s:
            return PowerSteadiness(verdict="too_short", span_s=self._span_s)
        end_s = means[-1].end_s
        ranges = [_temperature_range(sensor, end_s - self._span_s, end_s) for sensor in sensors]
        celsius = max((known for known in ranges if known is not None), default=None)
        warming = celsius is not None and celsius > TEMPERATURE_RANGE_CELSIUS
        reached = bound <= self._rules.bound
        self._passed = reached and not warming
        return PowerSteadiness(
            verdict=("temperature_changes" if warming else STEADY) if reached else NOT_STEADY,
            span_s=self._span_s,
            bound=bound,
            temperature_range_celsius=celsius,
        )


def _temperature_range(sensor: Sensor, start: float, end: float) -> float | None:
    """Highest less lowest temperature in °C; None where the device gives none."""
    read = [state.temperature_celsius for state in sensor.states(start, end)]
    known = [celsius for celsius in read if celsius is not None]
    return max(known) - min(known) if known else None
