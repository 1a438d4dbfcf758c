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

    @property
    def uncertainty_watts(self) -> float:
        """The standard error, or where it is not known the scatter of single samples, which is
        larger."""
        error_watts = self.standard_error_watts
        return self.deviation_watts if error_watts is None else error_watts


def baseline(amount: Amount, duration_s: float, power_watts: Sequence[float]) -> Baseline | None:
    """The baseline of an idle stretch, None where its energy is not known.

    Args:
        amount: energy of the stretch by the chosen source; what is not known at its edges and in
            its gaps adds to the standard error.
        power_watts: samples inside it, which show the scatter.
    """
    if amount.joules is None:
        return None
    scatter_watts = standard_error(power_watts)
    unseen_joules = hypot(amount.edge_uncertainty_joules, amount.gap_uncertainty_joules)
    unseen_watts = unseen_joules / duration_s
    return Baseline(
        power_watts=amount.joules / duration_s,
        standard_error_watts=None if scatter_watts is None else hypot(scatter_watts, unseen_watts),
        deviation_watts=stdev(power_watts) if len(power_watts) > 1 else 0.0,
    )


def standard_error(values: Sequence[float]) -> float | None:
    """Standard error of the mean of an autocorrelated series; None below `MINIMUM_SAMPLES`.

    The larger one of two estimates. Both are too small for series that are short against their
    autocorrelation (`benchmarks/baseline_error.py`): Geyer's knows no model and is far too small
    there, the one by a first-order autoregression is unbiased as far as the model holds.
    """
    count = len(values)
    if count < MINIMUM_SAMPLES:
        return None
    found = correlations_of(values)
    if found.variance == 0.0:
        return 0.0
    return max(by_positive_sequence(found), by_autoregression(found))


@dataclass(frozen=True)
class Correlations:
    """The autocorrelation of a series around its mean."""

    centred: Sequence[float]
    variance: float
    """Sum of squares over the number of values."""

    def at(self, lag: int) -> float:
        products = (a * b for a, b in zip(self.centred, self.centred[lag:], strict=False))
        return math.fsum(products) / len(self.centred) / self.variance


def correlations_of(values: Sequence[float]) -> Correlations:
    """The autocorrelation of a series."""
    mean = fmean(values)
    centred = [value - mean for value in values]
    return Correlations(centred, math.fsum(value * value for value in centred) / len(values))


def by_positive_sequence(found: Correlations) -> float:
    """s/√n × √τ with τ the integrated autocorrelation time by Geyer's initial positive sequence.

    −1 + 2 Σ (ρ(2k) + ρ(2k+1)) while the pairs are positive, never below 1, the value for
    independent samples (Statistical Science 7, 1992, section 3.3).
    """
    count, time = len(found.centred), -1.0
    for lag in range(0, count - 1, 2):
        pair = found.at(lag) + found.at(lag + 1)
        if pair <= 0.0:
            break
        time += 2.0 * pair
    return math.sqrt(found.variance / (count - 1) * max(1.0, time))


def by_autoregression(found: Correlations) -> float:
    """Standard error of the mean of a first-order autoregression, whose ρ is freed of its bias.

    E[r₁] = ρ − (1 + 4ρ)/n (Marriott and Pope, Biometrika 41, 1954), limited to 1 − 1/n. The mean of
    n values has the variance f·σ² with f = (1 + 2 Σ (1 − k/n) ρᵏ)/n, and the sum of squares around
    it expects n·(1 − f)·σ².
    """
    count = len(found.centred)
    rho = (found.at(1) + 1.0 / count) / (1.0 - 4.0 / count)
    rho = min(max(rho, 0.0), 1.0 - 1.0 / count)
    weighted = rho / (1.0 - rho) - rho * (1.0 - rho**count) / (count * (1.0 - rho) ** 2)
    share = (1.0 + 2.0 * weighted) / count
    return math.sqrt(found.variance * share / (1.0 - share))
