"""Pareto dominance in two metrics, with the certainty that paired intervals give."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from llm_energy.stats.intervals import CONFIDENCE, t_quantile
from llm_energy.stats.paired_ratios import MINIMUM_PAIRS

Status = Literal["non_dominated", "not_distinguishable", "dominated"]
Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Standing:
    status: Status
    """`non_dominated`: no other is better in both metrics; `not_distinguishable`: another is, but
    not clearly; `dominated`: another is clearly better in both."""
    certain: bool
    """True where `dominated`, or where every other is clearly worse in one of the metrics."""
    dominated_by: int | None
    """Index of one that is better in both, a clear one first; None where non-dominated."""


def standings(
    first: Matrix,
    second: Matrix,
    confidence: float = CONFIDENCE,
    *,
    pilot: Sequence[bool] | None = None,
) -> list[Standing]:
    """Classify each experiment among all, less being better in both metrics.

    Two experiments are compared by their ratio, paired by block: better where the mean of log
    ratios says so, clearly where its t interval (not adjusted for the number of rivals) excludes 1.
    Without a shared block means are compared, and nothing is clear.

    Args:
        first, second: logarithms, one row for each experiment and one column for each block; nan
            where there is no value.
        pilot: one for each block, true for those that decided how many there are: their spread
            alone counts, as in `t_interval`; None for all.
    """
    chosen = None if pilot is None else np.asarray(pilot, dtype=bool)
    quantiles = np.full(first.shape[1] + 1, np.inf)
    for n in range(MINIMUM_PAIRS, len(quantiles)):
        quantiles[n] = t_quantile(n - 1, confidence)
    found = []
    with np.errstate(invalid="ignore", divide="ignore"):
        # By block: sums over a few blocks of thousands of experiments are sums of whole rows.
        sides = [
            (np.ascontiguousarray(m.T), np.nansum(m, axis=1) / np.isfinite(m).sum(axis=1))
            for m in (first, second)
        ]
        complete = [not np.isnan(m).any() for m in (first, second)]
        for row in range(len(first)):
            better, clearly, clearly_worse = zip(
                *(
                    _against(logs, means, row, chosen, quantiles, complete=whole)
                    for (logs, means), whole in zip(sides, complete, strict=True)
                ),
                strict=True,
            )
            dominating, clearly_dominating = better[0] & better[1], clearly[0] & clearly[1]
            not_clearly_worse = ~(clearly_worse[0] | clearly_worse[1])
            not_clearly_worse[row] = False
            if clearly_dominating.any():
                found.append(Standing("dominated", True, int(clearly_dominating.argmax())))
            elif dominating.any():
                found.append(Standing("not_distinguishable", False, int(dominating.argmax())))
            else:
                found.append(Standing("non_dominated", not not_clearly_worse.any(), None))
    return found


def _against(
    logs: Matrix,
    means: Matrix,
    row: int,
    pilot: NDArray[np.bool_] | None,
    quantiles: Matrix,
    *,
    complete: bool,
) -> Sequence[NDArray[np.bool_]]:
    """(better, clearly better, clearly worse) than the experiment of `row`, for each experiment.

    Args:
        logs: block × experiment.
        quantiles: of Student's t, by the number of pairs.
        complete: every experiment has a value in every block.
    """
    differences = logs - logs[:, row, None]
    pairs, total = _sum(differences, complete=complete)
    mean = total / pairs
    known = differences if pilot is None else differences[pilot]
    counts, known_total = (pairs, total) if pilot is None else _sum(known, complete=complete)
    _, squares = _sum((known - known_total / counts) ** 2, complete=complete)
    spread = np.sqrt(squares / (counts - 1))
    enough = counts >= MINIMUM_PAIRS
    half_width = np.where(enough, quantiles[counts] * spread / np.sqrt(pairs), np.inf)
    mean = np.where(pairs > 0, mean, means - means[row])
    return mean < 0, mean + half_width < 0, mean - half_width > 0


def _sum(values: Matrix, *, complete: bool) -> tuple[NDArray[np.int_] | int, Matrix]:
    """(number of values, their sum) of each column; nan is no value.

    Args:
        complete: there is no nan: to look for one takes longer than the sum.
    """
    if complete:
        return len(values), np.sum(values, axis=0)
    there = ~np.isnan(values)
    return np.count_nonzero(there, axis=0), np.sum(values, axis=0, where=there)
