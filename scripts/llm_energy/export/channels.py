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

import numpy as np
from numpy.typing import NDArray

from llm_energy.analysis.energy_uncertainty import gross_budget
from llm_energy.export.series_columns import SeriesColumns, read_columns
from llm_energy.power.counter import unwrapped
from llm_energy.power.meter import QUANTITIES, Device, State
from llm_energy.power.sensor_limits import power_bound_watts
from llm_energy.power.series import Samples
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
    monotonic_ns: NDArray[np.int64]
    """CLOCK_MONOTONIC, ascending."""
    values: NDArray[np.float64]


def channels(series: SeriesColumns) -> Iterator[Channel]:
    """Yield every quantity that a series has values of.

    Counters are without their wraps, and values that took too long to read are left out: both as
    energy is computed. The Parquet file has all of them.
    """
    for device in series.devices:
        for quantity in QUANTITIES:
            samples = series.samples(device, quantity)
            if quantity == "energy_counter_joules":
                samples = unwrapped(
                    samples,
                    device.counter_range_joules,
                    power_bound_watts=power_bound_watts(device),
                )
            yield from _channel(device, quantity, samples)
        for name in STATE:
            yield from _channel(device, name, series.states(device, name))


def _channel(device: Device, name: str, samples: Samples) -> Iterator[Channel]:
    values = np.array(samples.values, dtype=np.float64)
    finite = np.isfinite(values)
    if finite.any():
        times_ns = np.rint(np.array(samples.times_s)[finite] * SECOND_NS).astype(np.int64)
        yield Channel(device, name, times_ns, values[finite])


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

    @classmethod
    def at_start(cls, series: SeriesColumns) -> "Clock | None":
        """The clock by the first reading of a series; None where there is none."""
        first = series.table.slice(0, 1).to_pylist()
        return cls.of(first[0]["monotonic_s"], first[0]["wall_s"]) if first else None

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
    def series(self) -> SeriesColumns | None:
        """The power series; None where nothing was metered, or the file is not there."""
        file = self.result.side_files.get("series")
        path = self.results / file.path if file else None
        return read_columns(path) if path and path.is_file() else None

    @cached_property
    def clock(self) -> Clock | None:
        """None where nothing was read of both clocks."""
        if self.series is not None and (clock := Clock.at_start(self.series)):
            return clock
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
