"""Drift of the machine over the run: one common slope beneath the differences of experiments."""

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean

from llm_energy.stats.intervals import CONFIDENCE, t_quantile


@dataclass(frozen=True)
class RunDrift:
    """Relative change from the first position to the last, common to all experiments."""

    change: float
    """Slope × span of positions on logarithms, carried back: 0.01 is 1 % more at the end."""
    low: float
    """95 % interval of `change`."""
    high: float
    observations: int


def drift_over_positions(
    observations: Iterable[tuple[str, float, float]], confidence: float = CONFIDENCE
) -> RunDrift | None:
    """Fit log(value) = level of the experiment + slope · position by least squares.

    `observations` are (experiment, position in the run, positive value). The within transformation
    (each experiment's own means removed from position and value) gives the slope of the model with
    one level per experiment; N − E − 1 degrees of freedom. None where that is below 1 or positions
    do not vary within an experiment. Wooldridge, Introductory Econometrics, section 14.1.
    """
    by_experiment: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for experiment, position, value in observations:
        by_experiment[experiment].append((position, math.log(value)))
    centred = [pair for points in by_experiment.values() for pair in _centred(points)]
    degrees = len(centred) - len(by_experiment) - 1
    position_squares = sum(x * x for x, _ in centred)
    if degrees < 1 or position_squares == 0:
        return None
    slope = sum(x * y for x, y in centred) / position_squares
    residual_squares = sum((y - slope * x) ** 2 for x, y in centred)
    error = math.sqrt(residual_squares / degrees / position_squares)
    half_width = t_quantile(degrees, confidence) * error
    positions = [position for points in by_experiment.values() for position, _ in points]
    span = max(positions) - min(positions)
    low, change, high = (
        math.expm1((slope + side * half_width) * span) for side in (-1.0, 0.0, 1.0)
    )
    return RunDrift(change=change, low=low, high=high, observations=len(centred))


def _centred(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    mean_x, mean_y = fmean(x for x, _ in points), fmean(y for _, y in points)
    return [(x - mean_x, y - mean_y) for x, y in points]
