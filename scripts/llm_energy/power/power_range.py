"""The power that a device can have drawn where no reading shows it."""

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class PowerRange:
    """The lowest and the highest power between which a device draws."""

    low_watts: float
    high_watts: float

    @classmethod
    def of(cls, watts: Iterable[float]) -> "PowerRange":
        """Return the range of one or more values."""
        values = tuple(watts)
        return cls(min(values), max(values))

    def guess_limit_joules(self, duration_s: float, guessed_watts: float) -> float:
        """Return the largest error of a guessed mean power over an unobserved `duration_s`."""
        return duration_s * max(self.high_watts - guessed_watts, guessed_watts - self.low_watts)

    def line_limit_joules(self, duration_s: float, mean_watts: float) -> float:
        """Largest distance of energy from a straight line between two readings of a counter.

        The mean power between them is known. All of the highest power h may come first, or last:
        with the lowest l and the mean p, energy leaves the line by d (h - p)(p - l)/(h - l).
        """
        low, high = self.low_watts, self.high_watts
        mean = min(max(mean_watts, low), high)
        if math.isinf(high):
            return duration_s * (mean - low)
        return duration_s * (high - mean) * (mean - low) / (high - low) if high > low else 0.0


ANY_POWER = PowerRange(0.0, math.inf)
"""The range of a device without any reading."""
