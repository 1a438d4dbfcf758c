"""Carry-over between measurements: effects of where, after what and how late each one ran.

One model throughout, by least squares on logarithms: log(value) = level of the experiment + level
of the block + effect + noise. Randomised blocks make the effects estimable beside both levels:
Senn, Cross-over Trials in Clinical Research, chapter 10; Jones and Kenward, Design and Analysis of
Cross-Over Trials, chapter 5. The levels are removed first (Frisch and Waugh (1933), Econometrica
1:387), so that what is left of a covariate shows whether its effect can be estimated at all.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llm_energy.stats.intervals import CONFIDENCE, t_quantile

Array = NDArray[np.float64]

MINIMUM_DEGREES = 3
"""Degrees of freedom of the noise below which there is no effect: intervals are so wide that they
say nothing."""

TOLERANCE = 1e-9
"""Share of a covariate's squares that must be left beside the levels; less is rounding."""

MOST_PREDECESSORS = 200
"""Number of predecessors above which intervals that hold together say nothing of any."""

POWER = 0.95
"""Chance with which an effect of the size `detectable` is found."""


@dataclass(frozen=True)
class Observation:
    """One measurement."""

    level: Hashable
    """The experiment, whose own level is no effect."""
    block: Hashable
    """The block, whose own level is no effect either."""
    value: float
    """Positive."""


@dataclass(frozen=True)
class Effect:
    """A relative change with its interval."""

    change: float
    low: float
    high: float
    detectable: float
    """Size from which an effect would have been found with the chance `POWER`: half width of the
    interval and its one-sided 95 % counterpart together, as for a limit of detection (Currie 1968,
    Analytical Chemistry 40:586)."""
    observations: int

    @property
    def seen(self) -> bool:
        """True where the interval excludes no change."""
        return not self.low <= 0.0 <= self.high


def slope_effect(
    observations: Sequence[Observation],
    covariate: Sequence[float],
    confidence: float = CONFIDENCE,
) -> Effect | None:
    """Change from the least to the greatest value of a covariate, linear on logarithms.

    None where the covariate does not vary beside the levels, or too few measurements are left.
    """
    span = max(covariate, default=0.0) - min(covariate, default=0.0)
    if span == 0.0:
        return None
    fitted = _fitted(observations, np.asarray(covariate, dtype=float)[:, None] / span)
    return None if fitted is None else fitted.effect(np.ones(1), confidence)


def predecessor_effects(
    observations: Sequence[Observation],
    predecessors: Sequence[str],
    confidence: float = CONFIDENCE,
) -> Mapping[str, Effect]:
    """Change after each predecessor against the mean of all; intervals hold together (Bonferroni).

    Empty where there is one predecessor alone or more than `MOST_PREDECESSORS`, where not all can
    be distinguished beside the levels, or too few measurements are left.
    """
    names = sorted(set(predecessors))
    if not 2 <= len(names) <= MOST_PREDECESSORS:
        return {}
    dummies = np.array([[float(each == name) for name in names] for each in predecessors])
    fitted = _fitted(observations, dummies)
    if fitted is None or fitted.rank < len(names) - 1:
        return {}
    each = 1.0 - (1.0 - confidence) / len(names)
    contrasts = np.eye(len(names)) - 1.0 / len(names)
    return {n: fitted.effect(c, each) for n, c in zip(names, contrasts, strict=True)}


@dataclass(frozen=True)
class _Fit:
    """Coefficients of the covariates, and what is known of them."""

    coefficients: Array
    covariance: Array
    degrees: int
    rank: int
    observations: int

    def effect(self, contrast: Array, confidence: float) -> Effect:
        estimate = float(contrast @ self.coefficients)
        error = math.sqrt(max(0.0, float(contrast @ self.covariance @ contrast)))
        half_width = t_quantile(self.degrees, confidence) * error
        beyond = t_quantile(self.degrees, 2.0 * POWER - 1.0) * error
        return Effect(
            change=math.expm1(estimate),
            low=math.expm1(estimate - half_width),
            high=math.expm1(estimate + half_width),
            detectable=math.expm1(half_width + beyond),
            observations=self.observations,
        )


def _fitted(observations: Sequence[Observation], covariates: Array) -> _Fit | None:
    logs = np.log([o.value for o in observations])
    both = np.column_stack([logs - logs.mean(), covariates])
    left, removed = _without_levels(observations, both)
    x, y = left[:, 1:], left[:, 0]
    scale = float(np.square(covariates - covariates.mean(axis=0)).sum())
    squares, vectors = np.linalg.eigh(x.T @ x)
    kept = squares > TOLERANCE * max(scale, TOLERANCE)
    rank = int(kept.sum())
    degrees = len(observations) - removed - rank
    if rank == 0 or degrees < MINIMUM_DEGREES:
        return None
    inverse = vectors[:, kept] @ np.diag(1.0 / squares[kept]) @ vectors[:, kept].T
    coefficients = inverse @ x.T @ y
    variance = float(np.square(y - x @ coefficients).sum()) / degrees
    return _Fit(coefficients, variance * inverse, degrees, rank, len(observations))


def _without_levels(observations: Sequence[Observation], columns: Array) -> tuple[Array, int]:
    """(Columns less what levels of experiments and blocks explain, number of these levels).

    Experiments are many and are removed as means, blocks are few and are fitted beside them.
    """
    experiments = _numbered([o.level for o in observations])
    blocks = _numbered([o.block for o in observations])
    dummies = (blocks[:, None] == np.arange(blocks.max(initial=-1) + 1)).astype(float)
    within, centred = _centred(columns, experiments), _centred(dummies, experiments)
    solved, _, rank, _ = np.linalg.lstsq(centred, within, rcond=None)
    return within - centred @ solved, int(experiments.max(initial=-1)) + 1 + int(rank)


def _centred(columns: Array, groups: NDArray[np.int_]) -> Array:
    """Columns less the mean of each group."""
    counts = np.bincount(groups)
    sums = np.zeros((len(counts), columns.shape[1]))
    np.add.at(sums, groups, columns)
    centred: Array = columns - (sums / counts[:, None])[groups]
    return centred


def _numbered(values: Sequence[Hashable]) -> NDArray[np.int_]:
    """A number from 0 for each different value."""
    numbers = {value: number for number, value in enumerate(dict.fromkeys(values))}
    return np.array([numbers[value] for value in values], dtype=int)
