"""Ratios between two experiments, and their correction for multiplicity.

Randomised blocks make slow drift of the machine common to both sides of a pair; the ratio within
a block is free of it. A missing side is never replaced: its block simply forms no pair. Sides that
share no block are compared without pairs, which is for comparisons across sessions only.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import fmean, variance
from typing import TypeVar

import numpy as np
from scipy import special

from .intervals import CONFIDENCE, Interval, t_quantile

Block = TypeVar("Block", bound=Hashable)

MINIMUM_PAIRS = 3
"""Under three pairs, or values on a side, no interval is given: with one degree of freedom t is
12.7, and the assumption of normal log ratios cannot be seen at all."""

EQUIVALENCE_LEVEL = 0.05
"""Level of each of the two one-sided tests."""


@dataclass(frozen=True)
class Ratio:
    """The ratio other / reference of geometric means, known through its logarithm."""

    pairs: int
    """Blocks with both sides; 0 where the sides were measured apart."""
    logarithm: float
    standard_error: float | None
    """Standard error of the logarithm; None under `MINIMUM_PAIRS`."""
    degrees_of_freedom: float

    @property
    def ratio(self) -> float:
        return math.exp(self.logarithm)

    def interval(self, confidence: float = CONFIDENCE) -> Interval | None:
        """Log-t interval of the ratio; None under `MINIMUM_PAIRS`."""
        if self.standard_error is None:
            return None
        half_width = t_quantile(self.degrees_of_freedom, confidence) * self.standard_error
        low, high = math.exp(self.logarithm - half_width), math.exp(self.logarithm + half_width)
        return Interval(low, high, confidence)

    @cached_property
    def p_value(self) -> float | None:
        """Two-sided t test on logarithms that the ratio is 1; None under `MINIMUM_PAIRS`."""
        if self.standard_error is None:
            return None
        if self.standard_error == 0:
            return 1.0 if self.logarithm == 0 else 0.0
        t = abs(self.logarithm) / self.standard_error
        return float(2 * special.stdtr(self.degrees_of_freedom, -t))

    def equivalent(self, margin: float) -> bool | None:
        """True where the ratio is shown to lie within a factor 1 + margin of 1, either way.

        Two one-sided t tests: the interval of confidence 1 − 2 · `EQUIVALENCE_LEVEL` lies inside.
        Schuirmann (1987), J. Pharmacokinetics and Biopharmaceutics 15:657.
        """
        inner = self.interval(1 - 2 * EQUIVALENCE_LEVEL)
        return None if inner is None else 1 / (1 + margin) <= inner.low <= inner.high <= 1 + margin

    def with_gains(self, limits: Sequence[float]) -> "Ratio":
        """The ratio between sensors whose relative gains are known within ± their `limits`.

        The sensors of two boards err apart from each other: on logarithms their variances a²/3
        add to that of the ratio (√2 · g where both have the same), with infinitely many degrees
        of freedom. GUM (JCGM 100:2008), 4.3.7 and G.4.1.
        """
        if self.standard_error is None:
            return self
        repeated = self.standard_error**2
        total = repeated + sum(limit**2 / 3 for limit in limits)
        degrees = math.inf if repeated == 0 else self.degrees_of_freedom * (total / repeated) ** 2
        return replace(self, standard_error=math.sqrt(total), degrees_of_freedom=degrees)


def paired_ratio(reference: Mapping[Block, float], other: Mapping[Block, float]) -> Ratio | None:
    """Compare positive values, each under its block, such as (cycle, session).

    None where no block has both sides. Paired t on log ratios: Senn, Statistical Issues in Drug
    Development, section 9; the ratio of geometric means is the average bioequivalence estimand.

    Raises:
        ValueError: a paired value is not positive, so that its logarithm does not exist.
    """
    shared = [block for block in reference if block in other]
    logs = _logarithms([other[block] / reference[block] for block in shared])
    if not logs:
        return None
    known = len(logs) >= MINIMUM_PAIRS
    error = math.sqrt(variance(logs) / len(logs)) if known else None
    return Ratio(len(logs), fmean(logs), error, len(logs) - 1)


def unpaired_ratio(reference: Sequence[float], other: Sequence[float]) -> Ratio | None:
    """Compare positive values of sides that share no block. None where a side is empty.

    Welch's t on logarithms. Welch (1947), Biometrika 34:28; it knows nothing of what differs
    between the sessions of the two sides beside the experiment.

    Raises:
        ValueError: a value is not positive, so that its logarithm does not exist.
    """
    sides = [_logarithms(reference), _logarithms(other)]
    if not all(sides):
        return None
    difference = fmean(sides[1]) - fmean(sides[0])
    if min(map(len, sides)) < MINIMUM_PAIRS:
        return Ratio(0, difference, None, 0)
    parts = [variance(side) / len(side) for side in sides]
    squares = sum(part**2 / (len(side) - 1) for part, side in zip(parts, sides, strict=True))
    degrees = sum(parts) ** 2 / squares if squares else math.inf
    return Ratio(0, difference, math.sqrt(sum(parts)), degrees)


def _logarithms(values: Sequence[float]) -> list[float]:
    if values and min(values) <= 0:
        raise ValueError("a ratio of values that are not positive cannot be compared on logarithms")
    return [math.log(value) for value in values]


def simultaneous_confidence(comparisons: int, confidence: float = CONFIDENCE) -> float:
    """Confidence of each interval at which all of them hold together with `confidence`.

    Bonferroni: 1 − α/m, whatever the comparisons have in common. Dunn (1961), Journal of the
    American Statistical Association 56:52.
    """
    return 1 - (1 - confidence) / max(1, comparisons)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values, in the order given.

    Holm (1979), Scandinavian Journal of Statistics 6:65.
    """
    order = np.argsort(p_values, kind="stable")
    steps = np.arange(len(p_values), 0, -1) * np.asarray(p_values)[order]
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return [float(each) for each in adjusted]
