"""Dependence of each cycle on the one before it: lag-1 autocorrelation, by a permutation test."""

import math
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

LEAST_CYCLES = 5
"""With fewer cycles, no order is rare enough to be distinguished from chance."""

ORDERS = 5040
"""All orders of the cycles are compared up to so many (7 cycles), else so many random ones."""


@dataclass(frozen=True)
class Autocorrelation:
    """Lag-1 autocorrelation of cycles, pooled over experiments."""

    coefficient: float
    """Estimate of r, corrected for its bias of about -(1 + 4 r) / n (Kendall, Biometrika 41 (1954)
    403-404)."""
    p_value: float
    """Share of the orders of the cycles with as large an autocorrelation; one-sided."""
    cycles: int


def autocorrelation(values: NDArray[np.float64]) -> Autocorrelation | None:
    """Estimate and test how cycles depend on the ones before them.

    Cycles are exchangeable if they do not, whatever the experiments of one cycle share: the cycles
    of all experiments are put in the same other order (Good, Permutation Tests, 2000, 3.7).

    Args:
        values: one row for each experiment, one column for each cycle in order; NaN where missing.
            Rows are compared relative to their means.

    Returns:
        None with fewer than `LEAST_CYCLES` cycles, or where nothing varies.
    """
    known = values[np.isfinite(values).sum(axis=1) >= 2]
    cycles = values.shape[1]
    if cycles < LEAST_CYCLES or not len(known):
        return None
    rest = np.nan_to_num(known / np.nanmean(known, axis=1, keepdims=True) - 1.0)
    squares = float((rest**2).sum())
    if not squares:
        return None
    products = rest.T @ rest
    orders = _orders(cycles)
    sums = products[orders[:, :-1], orders[:, 1:]].sum(axis=1) / squares
    seen = float(sums[0])
    return Autocorrelation(
        coefficient=min(seen + (1.0 + 4.0 * seen) / cycles, 0.99),
        p_value=float((sums >= seen - 1e-12).mean()),
        cycles=cycles,
    )


def _orders(cycles: int) -> NDArray[np.int64]:
    """Return orders of the cycles, one in each row; the first is the one that was measured."""
    if math.factorial(cycles) <= ORDERS:
        return np.array(list(permutations(range(cycles))))
    chance = np.random.default_rng(0)
    others = chance.permuted(np.tile(np.arange(cycles), (ORDERS - 1, 1)), axis=1)
    return np.vstack([np.arange(cycles), others])
