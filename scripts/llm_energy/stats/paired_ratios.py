"""Ratios between two experiments, and their correction for multiplicity.

Randomised blocks make slow drift of the machine common to both sides of a pair; the ratio within
a block is free of it. A missing side is never replaced: its block simply forms no pair. Sides that
share no block are compared without pairs, which is for comparisons across sessions only.
"""

import math
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import fmean
from typing import TypeVar

import numpy as np
from scipy import special

from .intervals import CONFIDENCE, Interval, of_one_value, t_quantile, variance

Block = TypeVar("Block", bound=Hashable)

MINIMUM_PAIRS = 3
"""Under three pairs, or values on a side, no interval is given: with one degree of freedom t is
12.7, and the assumption of normal log ratios cannot be seen at all."""

EQUIVALENCE_LEVEL = 0.05
"""Chance that a family of comparisons holds an `equivalent` that is wrong, at most."""


@dataclass(frozen=True)
class Ratio:
    """The ratio other / reference of geometric means, known through its logarithm."""

    pairs: int
    """Blocks with both sides; 0 where the sides were measured apart."""
    logarithm: float
    standard_error: float | None
    """Standard error of the logarithm; None under `MINIMUM_PAIRS`."""
    degrees_of_freedom: float
    limit: float = 0.0
    """Limit of errors of the logarithm that all pairs have in common."""

    @property
    def ratio(self) -> float:
        return math.exp(self.logarithm)

    def interval(self, confidence: float = CONFIDENCE) -> Interval | None:
        """Log-t interval of the ratio; None under `MINIMUM_PAIRS`."""
        if self.standard_error is None:
            return None
        repeated = t_quantile(self.degrees_of_freedom, confidence) * self.standard_error
        half_width = math.hypot(repeated, self.limit)
        low, high = math.exp(self.logarithm - half_width), math.exp(self.logarithm + half_width)
        return Interval(low, high, confidence)

    @cached_property
    def p_value(self) -> float | None:
        """Two-sided t test on logarithms that the ratio is 1; None under `MINIMUM_PAIRS`.

        It is α where 1 is an end of the interval of confidence 1 − α.
        """
        if self.standard_error is None:
            return None
        return 2 * self._tail(abs(self.logarithm), self.standard_error)

    def equivalence_p_value(self, margin: float) -> float | None:
        """P-value of the ratio being a factor 1 + margin or more from 1; None as above.

        The greater p of two one-sided t tests on logarithms: p ≤ α where the interval of confidence
        1 − 2α lies inside. Schuirmann (1987), J. Pharmacokinetics and Biopharmaceutics 15:657.
        """
        if self.standard_error is None:
            return None
        return self._tail(math.log1p(margin) - abs(self.logarithm), self.standard_error)

    def _tail(self, distance: float, standard_error: float) -> float:
        """Chance of an estimate at this distance or further, at the end of `limit`, one-sided."""
        beyond = math.sqrt(max(0.0, distance**2 - self.limit**2))
        if standard_error == 0:
            return 0.0 if distance >= self.limit and distance > 0 else 0.5
        t = math.copysign(beyond, distance) / standard_error
        return float(special.stdtr(self.degrees_of_freedom, -t))

    def with_limits(self, limits: Sequence[float]) -> "Ratio":
        """The ratio between sensors whose relative errors are known within ± their `limits`.

        The sensors of two boards may err apart from each other, each by its limit: on logarithms
        their sum joins the interval as in `total_uncertainty`. On one board they cancel.
        """
        return replace(self, limit=math.fsum(limits))


def paired_ratio(
    reference: Mapping[Block, float],
    other: Mapping[Block, float],
    *,
    pilot: Collection[Block] | None = None,
) -> Ratio | None:
    """Compare positive values, each under its block, such as (cycle, session).

    None where no block has both sides. Paired t on log ratios: Senn, Statistical Issues in Drug
    Development, section 9; the ratio of geometric means is the average bioequivalence estimand.

    Args:
        pilot: blocks that decided how many there are; their spread alone counts, as in
            `t_interval`.

    Raises:
        ValueError: a paired value is not positive, so that its logarithm does not exist.
    """
    shared = {block: other[block] / reference[block] for block in reference if block in other}
    logs, first = _logarithms(shared, pilot)
    if not logs:
        return None
    known = len(first) >= MINIMUM_PAIRS
    error = math.sqrt(variance(first) / len(logs)) if known else None
    return Ratio(len(logs), fmean(logs), error, len(first) - 1)


def unpaired_ratio(
    reference: Mapping[Block, float],
    other: Mapping[Block, float],
    *,
    pilot: Collection[Block] | None = None,
) -> Ratio | None:
    """Compare positive values of sides that share no block. None where a side is empty.

    Welch's t on logarithms. Welch (1947), Biometrika 34:28; it knows nothing of what differs
    between the sessions of the two sides beside the experiment.

    Args:
        pilot: as in `paired_ratio`.

    Raises:
        ValueError: a value is not positive, so that its logarithm does not exist.
    """
    sides = [_logarithms(reference, pilot), _logarithms(other, pilot)]
    if not all(logs for logs, _ in sides):
        return None
    difference = fmean(sides[1][0]) - fmean(sides[0][0])
    if min(len(first) for _, first in sides) < MINIMUM_PAIRS:
        return Ratio(0, difference, None, 0)
    parts = [variance(first) / len(logs) for logs, first in sides]
    squares = sum(part**2 / (len(side[1]) - 1) for part, side in zip(parts, sides, strict=True))
    degrees = sum(parts) ** 2 / squares if squares else math.inf
    return Ratio(0, difference, math.sqrt(sum(parts)), degrees)


def _logarithms(
    values: Mapping[Block, float], pilot: Collection[Block] | None
) -> tuple[list[float], list[float]]:
    """(logarithms of all, of the pilot; all where there is none, or none with a spread)."""
    if values and min(values.values()) <= 0:
        raise ValueError("a ratio of values that are not positive cannot be compared on logarithms")
    logs = {block: math.log(value) for block, value in values.items()}
    everything = list(logs.values())
    first = everything if pilot is None else [log for b, log in logs.items() if b in pilot]
    return everything, everything if of_one_value(first) else first


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
