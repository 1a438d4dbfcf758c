"""The raw series of a measurement: every reading of every device, never thinned."""

import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from statistics import median

from llm_energy.power.meter import Device, Quantity, Reading, Stamp

LONGEST_READ_S = 0.1
LONGEST_READ_MEDIANS = 3.0

_Timed = list[tuple[Stamp, float]]


@dataclass(frozen=True)
class Samples:
    """One quantity of one device over time, without the moments at which it was not there."""

    times_s: tuple[float, ...]
    """CLOCK_MONOTONIC, ascending."""
    values: tuple[float, ...]
    read_s: tuple[float, ...] = ()
    """How long each took to read, so that it lies within ± half of that; empty: no time at all."""

    def __len__(self) -> int:
        return len(self.times_s)

    def steps(self) -> list[tuple[tuple[float, float], tuple[float, float]]]:
        """Return each sample with the next, as pairs of time and value."""
        return list(pairwise(zip(self.times_s, self.values, strict=True)))

    def between(self, start_s: float, end_s: float) -> "Samples":
        """Those within [start, end]."""
        first, last = bisect_left(self.times_s, start_s), bisect_right(self.times_s, end_s)
        return self._slice(first, last)

    def around(self, start_s: float, end_s: float) -> "Samples":
        """Those within [start, end], with the last one before and the first one after."""
        first = max(0, bisect_right(self.times_s, start_s) - 1)
        last = bisect_left(self.times_s, end_s) + 1
        return self._slice(first, last)

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

    def stamp_limit_s(self, time_s: float) -> float:
        """How far the stamps of the samples on both sides of a moment can be off."""
        return max(self.around(time_s, time_s).read_s, default=0.0) / 2

    def _slice(self, first: int, last: int) -> "Samples":
        return Samples(self.times_s[first:last], self.values[first:last], self.read_s[first:last])


NO_SAMPLES = Samples((), ())


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

    def covered(self) -> tuple[float, float]:
        """The time over which every quantity of each device's first and last pass lies around it;
        slow devices with a rate of their own do not count. There must be a reading."""
        own = {device.id for device in self.devices if device.own_period_s is not None}
        kept = [found for id_, found in self.by_device.items() if id_ not in own]
        passes = kept or list(self.by_device.values())
        ends = [(found[0].moments_s, found[-1].moments_s) for found in passes]
        return max(max(first) for first, _ in ends), min(min(last) for _, last in ends)

    def samples(self, device: Device, quantity: Quantity) -> Samples:
        """The values of one quantity of one device, without those that took too long to read."""
        kept, _ = self._timed(device, quantity)
        return Samples(
            tuple(stamp.monotonic_s for stamp, _ in kept),
            tuple(value for _, value in kept),
            tuple(0.0 if math.isnan(stamp.read_s) else stamp.read_s for stamp, _ in kept),
        )

    def late(self, device: Device, quantity: Quantity) -> list[Stamp]:
        """The stamps of the values that took too long to read."""
        _, late = self._timed(device, quantity)
        return [stamp for stamp, _ in late]

    def _timed(self, device: Device, quantity: Quantity) -> tuple[_Timed, _Timed]:
        """The values that count, and those that took too long, with their stamps."""
        found = [
            (reading.stamp(quantity), value)
            for reading in self.by_device.get(device.id, ())
            if (value := getattr(reading, quantity)) is not None
        ]
        if not found:
            return [], []
        longest_s = longest_read_s([stamp.read_s for stamp, _ in found])
        late = [timed for timed in found if timed[0].read_s > longest_s]
        return [timed for timed in found if not timed[0].read_s > longest_s], late

    def reason(self, device: Device, quantity: Quantity) -> str:
        """Why `quantity` was last missing from a reading; `no_samples` where nothing says so."""
        for reading in reversed(self.by_device.get(device.id, [])):
            if quantity in reading.unavailable:
                return reading.unavailable[quantity]
        return "no_samples"


def longest_read_s(reads_s: Sequence[float]) -> float:
    """Return how long a value may have taken to read: 0.1 s, or three times the median if more.

    One that took longer is left out: the thread was held up, and nobody knows where in that time
    the sensor looked.
    """
    return max(LONGEST_READ_S, LONGEST_READ_MEDIANS * median(reads_s))


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
