"""A measurement as other tools get it: labels, phases, and each quantity of each device over time.

Times are nanoseconds since 1970. Wall time is taken once, at the first reading; from there on the
monotonic clock counts, so that a clock that is set meanwhile changes no energy.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from llm_energy.analysis.energy_uncertainty import gross_budget
from llm_energy.power.meter import QUANTITIES, Device, State
from llm_energy.power.sensor import Sensor
from llm_energy.power.series import Series
from llm_energy.power.series_file import read_series
from llm_energy.results.layout import ANCHORS, MEASURED, files
from llm_energy.results.result import Result, read_result

SECOND_NS = 10**9

STATE = tuple(field.name for field in fields(State) if field.name != "process_ids")
EXPORTED = (*QUANTITIES, *STATE)
"""The exported quantities; the unit is in each name."""


@dataclass(frozen=True)
class Channel:
    """One quantity of one device over time."""

    device: Device
    quantity: str
    times_s: tuple[float, ...]
    """CLOCK_MONOTONIC, ascending."""
    values: tuple[float, ...]


def channels(series: Series) -> Iterator[Channel]:
    """Yield every quantity that a series has values of.

    Counters are without their wraps, and values that took too long to read are left out: both as
    energy is computed. The Parquet file has all of them.
    """
    for device in series.devices:
        for quantity in QUANTITIES:
            samples = series.samples(device, quantity)
            if quantity == "energy_counter_joules":
                samples = Sensor(device, series).counter
            kept = [
                (time_s, value)
                for time_s, value in zip(samples.times_s, samples.values, strict=True)
                if math.isfinite(value)
            ]
            yield from _channel(device, quantity, kept)
        states = [(r.monotonic_s, r.state) for r in series.by_device.get(device.id, ()) if r.state]
        for name in STATE:
            known = [(time_s, getattr(state, name)) for time_s, state in states]
            yield from _channel(device, name, [(t, v) for t, v in known if v is not None])


def _channel(device: Device, name: str, pairs: list[tuple[float, float]]) -> Iterator[Channel]:
    if pairs:
        times_s, values = zip(*pairs, strict=True)
        yield Channel(device, name, times_s, tuple(map(float, values)))


def device_labels(device: Device) -> dict[str, str]:
    """Return what distinguishes the channels of a device from those of others."""
    labels = {"device": device.id, "model": device.model, "scope": device.scope}
    return labels | {"simulated": str(device.simulated).lower()}


@dataclass(frozen=True)
class Clock:
    """The relation of the two clocks during a measurement."""

    epoch_ns: int
    """Nanoseconds since 1970 at 0 of CLOCK_MONOTONIC."""

    @classmethod
    def of(cls, monotonic_s: float, wall_s: float) -> "Clock":
        """The clock by one reading of both."""
        return cls(round(wall_s * SECOND_NS) - round(monotonic_s * SECOND_NS))

    def wall_ns(self, monotonic_s: float) -> int:
        """Return nanoseconds since 1970."""
        return self.epoch_ns + round(monotonic_s * SECOND_NS)


@dataclass(frozen=True)
class Measured:
    """One result, with what belongs to it."""

    results: Path
    """The campaign's folder."""
    result: Result
    is_anchor: bool

    @cached_property
    def labels(self) -> Mapping[str, str]:
        """Labels that no two measurements share, whatever was superseded since."""
        result = self.result
        return {
            "campaign": result.campaign,
            "cycle": str(result.cycle),
            "experiment": result.experiment,
            "kind": "anchor" if self.is_anchor else "measurement",
            "spec": result.spec_hash,
            "started": moment(result.started).isoformat(timespec="milliseconds"),
        }

    @property
    def result_labels(self) -> Mapping[str, str]:
        """Labels of the result itself, with the reason where it has no energy."""
        return {**self.labels, "reason": self.result.energy.reason or ""}

    @cached_property
    def series(self) -> Series | None:
        """The power series; None where nothing was metered, or the file is not there."""
        file = self.result.side_files.get("series")
        path = self.results / file.path if file else None
        return read_series(path) if path and path.is_file() else None

    @cached_property
    def clock(self) -> Clock | None:
        """None where nothing was read of both clocks."""
        if self.series is not None and self.series.readings:
            first = self.series.readings[0]
            return Clock.of(first.monotonic_s, first.wall_s)
        if window := self.result.window:
            return Clock.of(window.start_monotonic_s, moment(window.start_wall).timestamp())
        return None

    @property
    def finished_ns(self) -> int:
        """End of the measuring job."""
        return round(moment(self.result.finished).timestamp() * 1000) * 10**6

    def numbers(self) -> dict[str, float]:
        """Return the numbers of the result that are known, by names with units."""
        result, energy, budget = self.result, self.result.energy, gross_budget(self.result)
        found = {
            "completed": float(result.status == "completed"),
            "duration_s": result.window.duration_s if result.window else None,
            "output_tokens": float(result.tokens.output) if result.tokens else None,
            "output_tokens_per_second": result.output_tokens_per_second,
            "energy_joules": energy.energy_joules,
            "energy_standard_uncertainty_joules": math.hypot(*budget.values()) if budget else None,
            "mean_power_watts": energy.mean_power_watts,
            "joules_per_output_token": energy.joules_per_output_token,
        }
        return {name: value for name, value in found.items() if value is not None}


def moment(text: str) -> datetime:
    """Return an ISO 8601 time of a result, in UTC."""
    return datetime.fromisoformat(text).astimezone(UTC)


def measured(results: Path) -> Iterator[Measured]:
    """Yield what was measured in a results folder.

    Raises:
        ResultError: a result cannot be used.
    """
    for kind in (MEASURED, ANCHORS):
        for path in files(results, kind):
            yield Measured(results, read_result(path), kind == ANCHORS)
