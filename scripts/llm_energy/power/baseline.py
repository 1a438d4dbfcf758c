"""Mean power of a stretch, and how sure it is although power samples depend on each other."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot
from statistics import fmean, stdev

from llm_energy.power.integration import Amount

MINIMUM_SAMPLES = 10
"""Below this the autocorrelation cannot be seen at all."""


@dataclass(frozen=True)
class Baseline:
    """Power while the loaded engine had nothing to do."""

    power_watts: float
    standard_error_watts: float | None
    """None with `MINIMUM_SAMPLES` or fewer samples."""
    deviation_watts: float
    """Standard deviation of single samples; 0 with fewer than two."""


def baseline(amount: Amount, duration_s: float, power_watts: Sequence[float]) -> Baseline | None:
    """The baseline of an idle stretch, None where its energy is not known.

    Args:
        amount: energy of the stretch by the chosen source; what is not known at its edges adds to
            the standard error.
        power_watts: samples inside it, which show the scatter.
    """
    if amount.joules is None:
        return None
    scatter_watts = standard_error(power_watts)
    edges_watts = amount.edge_uncertainty_joules / duration_s
    return Baseline(
        power_watts=amount.joules / duration_s,
        standard_error_watts=None if scatter_watts is None else hypot(scatter_watts, edges_watts),
        deviation_watts=stdev(power_watts) if len(power_watts) > 1 else 0.0,
    )


def standard_error(values: Sequence[float]) -> float | None:
    """Standard error of the mean of an autocorrelated series; None below `MINIMUM_SAMPLES`.

    s/√n × √τ with τ the integrated autocorrelation time by Geyer's initial positive sequence
    (Statistical Science 7, 1992, section 3.3): −1 + 2 Σ (ρ(2k) + ρ(2k+1)) while the pairs are
    positive. Never below 1, the value for independent samples.
    """
    count = len(values)
    if count < MINIMUM_SAMPLES:
        return None
    mean = fmean(values)
    centred = [value - mean for value in values]
    variance = math.fsum(value * value for value in centred) / count
    if variance == 0.0:
        return 0.0

    def correlation(lag: int) -> float:
        products = (a * b for a, b in zip(centred, centred[lag:], strict=False))
        return math.fsum(products) / count / variance

    time = -1.0
    for lag in range(0, count - 1, 2):
        pair = correlation(lag) + correlation(lag + 1)
        if pair <= 0.0:
            break
        time += 2.0 * pair
    return math.sqrt(variance * count / (count - 1) / count * max(1.0, time))
