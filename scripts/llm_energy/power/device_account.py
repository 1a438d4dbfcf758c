"""One device over the phases of a measurement."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from llm_energy.power import plausibility
from llm_energy.power.baseline import Baseline
from llm_energy.power.integration import Amount
from llm_energy.power.meter import Stamp
from llm_energy.power.sensor import Method, Sensor
from llm_energy.results.energy import DeviceEnergy

Span = tuple[float, float]
"""Start and end in s on CLOCK_MONOTONIC."""


WORKING_PERCENT = 50.0
"""Change of mean utilisation that changes the power of every device. Provisional."""


@dataclass(frozen=True)
class Account:
    """The energy of one device in each phase, by the campaign's one method."""

    sensor: Sensor
    method: Method
    spans: Mapping[str, Span]
    """Phase -> when it was."""
    counted: bool
    """True where it is part of the measurement's sum."""
    mirror_of: str | None = None
    """The device whose counter it repeats."""

    def joules(self, start_s: float, end_s: float) -> float | None:
        """Energy over any interval of the series."""
        return self._energy(self.method, start_s, end_s).joules

    def parts_joules(self, parts: Sequence[Span]) -> float | None:
        """Energy of all parts of the window, whose own energy is known."""
        return self.sensor.parts_joules(self.method, parts)

    def late_at(self, moment_s: float) -> Stamp | None:
        """The reading that was left out beside a moment, because it took too long."""
        return self.sensor.late_at(self.method, moment_s)

    def phase_joules(self, phase: str) -> float | None:
        """Energy of a phase; None where there was none or its energy is not known."""
        return self._phase(phase).joules

    @cached_property
    def window(self) -> Amount:
        """Energy of the window, or the reason why it must not be used."""
        amount = self._phase("window")
        if amount.joules is None:
            return amount
        if plausibility.sensors_disagree(self._ratio("window")):
            return Amount(reason="sensors_disagree")
        impossible = plausibility.impossible_mean(
            amount.joules / self.duration_s,
            baseline=self.baseline,
            power_limit_watts=self.sensor.power_limit_watts(*self.spans["window"]),
            power_bound_watts=self.sensor.power_bound_watts,
            uncertainty_watts=amount.uncertainty_joules / self.duration_s,
        )
        return Amount(reason=impossible) if impossible else amount

    @cached_property
    def baseline(self) -> Baseline | None:
        """Mean power of the idle phase, None where it is not known."""
        span = self.spans.get("idle")
        if span is None or self._phase("idle").joules is None:
            return None
        if plausibility.sensors_disagree(self._ratio("idle")):
            return None
        return self.sensor.baseline(self.method, *span)

    @property
    def duration_s(self) -> float:
        """Duration of the window, which must exist."""
        start_s, end_s = self.spans["window"]
        return end_s - start_s

    @property
    def net_joules(self) -> float | None:
        """Window less baseline power × duration; may be negative."""
        if self.window.joules is None or self.baseline is None:
            return None
        return self.window.joules - self.baseline.power_watts * self.duration_s

    def record(self) -> DeviceEnergy:
        """The part of the result about this device."""
        span = self.spans.get("window")
        return DeviceEnergy(
            device=self.sensor.device.id,
            scope=self.sensor.device.scope,
            counted=self.counted,
            label=self.sensor.device.label,
            mirror_of=self.mirror_of,
            energy_joules=self.window.joules,
            reason=self.window.reason,
            method=self.method,
            counter_joules=self._source("counter"),
            integrated_instant_joules=self._source("integrated_instant"),
            integrated_average_joules=self._source("integrated_average"),
            loaded_idle_power_watts=self.baseline.power_watts if self.baseline else None,
            counter_over_instant=self._ratio("window"),
            counter_over_instant_idle=self._ratio("idle"),
            counter_over_instant_uncertainty=self._ratio_uncertainty(),
            update_period_s=self.sensor.update_period_s,
            power_limit_watts=self.sensor.power_limit_watts(*span) if span else None,
            state=plausibility.summarise(self.sensor.states(*span)) if span else None,
        )

    def _source(self, method: Method, phase: str = "window") -> float | None:
        span = self.spans.get(phase)
        return self._energy(method, *span).joules if span else None

    def _ratio(self, phase: str) -> float | None:
        counter = self._source("counter", phase)
        instant = self._source("integrated_instant", phase)
        return counter / instant if counter is not None and instant else None

    def _ratio_uncertainty(self) -> float | None:
        """Relative standard uncertainty of the ratio in the window, by what no reading shows."""
        if "window" not in self.spans or self._ratio("window") is None:
            return None
        sources: tuple[Method, Method] = ("counter", "integrated_instant")
        amounts = [self._energy(method, *self.spans["window"]) for method in sources]
        return math.hypot(*(a.uncertainty_joules / a.joules for a in amounts if a.joules))

    def _phase(self, phase: str) -> Amount:
        if self.sensor.device.refusal:
            return Amount(reason=self.sensor.device.refusal)
        span = self.spans.get(phase)
        return self._energy(self.method, *span) if span else Amount(reason=f"no_{phase}")

    def _energy(self, method: Method, start_s: float, end_s: float) -> Amount:
        if method != "counter" and self._worked and self.sensor.never_changes(method):
            return Amount(reason="power_stuck")
        return self.sensor.energy(method, start_s, end_s)

    @cached_property
    def _worked(self) -> bool:
        """True where the device worked in the window and rested before, by its utilisation.

        Means are compared: a reading of utilisation between two bursts of a steady load is no rest.
        A device that does not report its utilisation is taken to have worked.
        """
        seen = [
            self.sensor.utilisation_percent(*self.spans[phase])
            for phase in ("idle", "window")
            if phase in self.spans
        ]
        known = [percent for percent in seen if percent is not None]
        if not known:
            return "idle" in self.spans
        return len(known) == 2 and known[1] - known[0] >= WORKING_PERCENT


def total(amounts: Iterable[float | None]) -> float | None:
    """Sum of all; None where one is None or there is none."""
    values = list(amounts)
    known = [value for value in values if value is not None]
    return math.fsum(known) if values and len(known) == len(values) else None
