"""The raw series of a measurement: every reading of every device, never thinned."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from statistics import median

from llm_energy.power.meter import Device, Quantity, Reading


@dataclass(frozen=True)
class Samples:
    """One quantity of one device over time, without the moments at which it was not there."""

    times_s: tuple[float, ...]
    """CLOCK_MONOTONIC, ascending."""
    values: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.times_s)

    def between(self, start_s: float, end_s: float) -> "Samples":
        """Those within [start, end]."""
        first, last = bisect_left(self.times_s, start_s), bisect_right(self.times_s, end_s)
        return Samples(self.times_s[first:last], self.values[first:last])

    def around(self, start_s: float, end_s: float) -> "Samples":
        """Those within [start, end], with the last one before and the first one after."""
        first = max(0, bisect_right(self.times_s, start_s) - 1)
        last = bisect_left(self.times_s, end_s) + 1
        return Samples(self.times_s[first:last], self.values[first:last])

    def at(self, time_s: float) -> float:
        """The value at a moment between the first and the last sample, interpolated linearly."""
        after = max(1, bisect_left(self.times_s, time_s))
        (t0, t1), (v0, v1) = self.times_s[after - 1 : after + 1], self.values[after - 1 : after + 1]
        return v0 + (v1 - v0) * (time_s - t0) / (t1 - t0)

    def uncovered(self, start_s: float, end_s: float) -> str | None:
        """Reason code where [start, end] does not lie between two samples."""
        if not self.times_s:
            return "no_samples"
        if self.times_s[0] > start_s:
            return "no_sample_before"
        return "no_sample_after" if self.times_s[-1] < end_s else None


@dataclass(frozen=True)
class Series:
    """Readings of all devices in the order in which they were taken."""

    devices: tuple[Device, ...]
    readings: tuple[Reading, ...]
    rate_hz: float
    """As requested; what was delivered is in the readings."""

    @cached_property
    def by_device(self) -> dict[str, list[Reading]]:
        """Device id -> its readings."""
        found: dict[str, list[Reading]] = defaultdict(list)
        for reading in self.readings:
            found[reading.device].append(reading)
        return dict(found)

    def samples(self, device: Device, quantity: Quantity) -> Samples:
        """The values of one quantity of one device."""
        kept = [
            (reading.monotonic_s, value)
            for reading in self.by_device.get(device.id, ())
            if (value := getattr(reading, quantity)) is not None
        ]
        return Samples(tuple(t for t, _ in kept), tuple(v for _, v in kept))

    def reason(self, device: Device, quantity: Quantity) -> str:
        """Why `quantity` was last missing from a reading; `no_samples` where nothing says so."""
        for reading in reversed(self.by_device.get(device.id, [])):
            if quantity in reading.unavailable:
                return reading.unavailable[quantity]
        return "no_samples"


def update_period_s(samples: Samples) -> float | None:
    """Median time between changes of the value, in s: how often the sensor is seen to update.

    It cannot come out shorter than the sampling period. None where the value changed less than
    three times, so that no two whole periods were seen.
    """
    changes = [
        later
        for (earlier, later), (a, b) in zip(
            pairwise(samples.times_s), pairwise(samples.values), strict=True
        )
        if a != b
    ]
    return median(b - a for a, b in pairwise(changes)) if len(changes) >= 3 else None


def sampling_period_s(times_s: Sequence[float]) -> float | None:
    """Median time between samples in s; None below two samples."""
    return median(b - a for a, b in pairwise(times_s)) if len(times_s) >= 2 else None
