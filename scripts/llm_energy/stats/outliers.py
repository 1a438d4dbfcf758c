"""Single cycles far from the others: flagged, never dropped."""

import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import fmean

from scipy import special

from llm_energy.stats.intervals import standard_deviation

LEVEL = 0.01
"""Chance that a cycle of normal data is named: ISO 5725-2 calls an outlier what Grubbs' test finds
at 1 %."""

MINIMUM_CYCLES = 3
"""With two cycles either is as far from the mean as the other."""


def outlier(values: Sequence[float]) -> int | None:
    """Index of the one value that Grubbs' two-sided test at `LEVEL` finds; None where it finds
    none, or below `MINIMUM_CYCLES`, where no test is possible.

    Grubbs (1969), Technometrics 11:1; NIST/SEMATECH e-Handbook 1.3.5.17.1. Two outliers can hide
    each other.
    """
    if len(values) < MINIMUM_CYCLES:
        return None
    deviation = standard_deviation(values)
    if deviation == 0:
        return None
    centre = fmean(values)
    index = max(range(len(values)), key=lambda i: abs(values[i] - centre))
    return index if abs(values[index] - centre) / deviation > critical(len(values)) else None


@lru_cache
def critical(n: int, level: float = LEVEL) -> float:
    """The bound that the largest distance from the mean exceeds with chance `level` in n normal
    values, in standard deviations."""
    t = special.stdtrit(n - 2, level / (2 * n))
    return float((n - 1) / math.sqrt(n) * math.sqrt(t**2 / (n - 2 + t**2)))
