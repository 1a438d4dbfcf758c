"""Drift inside one window: its last third against its first, and what scatter alone can make of it.

A fixed limit flags constant devices whose power or throughput scatters. A change counts as drift
where it exceeds both the limit and what a steady window of the same scatter hardly ever shows.
"""

import math
from collections.abc import Sequence

from llm_energy.power.accounting import PIECES, EnergyAccount
from llm_energy.results.parts import Drift
from worker.courses import Series, Wave

DRIFT_LIMIT = 0.03
"""Relative change of the last third against the first that counts as drift. Provisional."""

PROBABILITY = 0.99865
"""One-sided, as for three standard errors of a normal distribution."""

UNCERTAINTIES = 3.0
"""Standard uncertainties from gaps that a change of power must exceed."""

APPROACH_SHARE = 0.25
"""Time constant of the approach that is fitted, as a share of the window."""


def scatter_limit(waves: Sequence[Wave], *, third: int) -> float:
    """Return the largest relative change that a steady window shows by its scatter.

    A drift must not count as scatter. So the waves are fitted to a straight line, to an exponential
    approach, and, first and last third alone, to a step; the course with the least error of the
    change decides. Errors hold the autocorrelation of what the fit leaves (worker/courses.py), and
    Student's t its degrees of freedom. Scatter that changes as slowly as the thirds cannot be
    distinguished from drift (`benchmarks/window_drift.py`).

    Args:
        waves: all of the window, or equal pieces of it: `PIECES` or more.
        third: number of waves in its first and in its last third.
    """
    whole, ends = Series(waves), Series([*waves[:third], *waves[-third:]])
    tau_s = APPROACH_SHARE * whole.span_s
    middles_s = [(wave.start_s + wave.end_s) / 2.0 - whole.start_s for wave in waves]
    left = [math.exp(-middle_s / tau_s) for middle_s in middles_s]
    quantile = whole.quantile(PROBABILITY)
    step = ends.step((waves[third - 1].end_s + waves[-third].start_s) / 2.0)
    return min(
        quantile * whole.trend().error * _between_thirds(middles_s, third),
        quantile * whole.approach(tau_s).error * _between_thirds(left, third),
        ends.quantile(PROBABILITY) * step.error,
    )


def with_power(drift: Drift, account: EnergyAccount) -> Drift:
    """Return the drift of a window with that of its power."""
    found = {
        "power_relative": account.power_drift_relative,
        "power_scatter_limit": power_scatter_limit(account),
    }
    return drift.model_copy(update=found)


def power_scatter_limit(account: EnergyAccount) -> float | None:
    """Return the change of power that scatter and gaps explain; None where it is not known."""
    joules, gaps_joules = account.energy.energy_joules, account.energy.gap_uncertainty_joules or 0.0
    pieces = account.pieces_joules
    if account.power_drift_relative is None or not joules or not (pieces or gaps_joules):
        return None
    waves = [Wave(n / PIECES, (n + 1) / PIECES, amount) for n, amount in enumerate(pieces or ())]
    scatter = scatter_limit(waves, third=PIECES // 3) if waves else 0.0  # a gap is a whole piece
    return math.hypot(scatter, UNCERTAINTIES * gaps_joules / (joules / 3.0))


def drifts(change: float | None, limit: float | None) -> bool:
    """Return True where a change is drift; without a known limit of the scatter, by its size."""
    return change is not None and abs(change) > max(DRIFT_LIMIT, limit or 0.0)


def drift_message(change: float, limit: float | None) -> str:
    """Return the text of a flag about a change that is drift."""
    scatter = "" if limit is None else f", scatter explains ±{limit:.1%}"
    return f"{change:+.1%} (limit ±{DRIFT_LIMIT:.0%}{scatter})"


def _between_thirds(course: Sequence[float], third: int) -> float:
    return abs(math.fsum(course[:third]) - math.fsum(course[-third:])) / third
