"""Energy of decoding: the slope of energy over output length, never one run minus another."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, linear_regression
from typing import TypeVar

from llm_energy.stats.intervals import Interval, TotalUncertainty, t_interval, total_uncertainty

Block = TypeVar("Block")

MINIMUM_LENGTHS = 3
"""Through two points every line fits: a third shows whether there is a line at all."""


@dataclass(frozen=True)
class Slope:
    """Joules per output token of one request, prefill left out."""

    joules_per_output_token: float
    """Mean over cycles of the least-squares slope within a cycle."""
    interval: Interval | None
    """Student's t over cycles; None for one cycle."""
    total: TotalUncertainty | None
    """With the limits of the power sensor, where they are known."""
    cycles: int
    lengths: tuple[int, ...]
    """All output lengths that took part."""
    worst_residual_relative: float
    """Greatest distance from the line, mean over cycles, over the energy at that length. Decoding
    with a longer context costs more, so that a line is an approximation."""


def decode_slope(
    joules_per_request: Mapping[Block, Mapping[int, float]],
    *,
    limits: Sequence[float] | None = None,
    pilot: Collection[Block] | None = None,
) -> Slope | None:
    """Fit energy = prefill + slope · output tokens within each cycle; None where no cycle has
    `MINIMUM_LENGTHS` lengths.

    The cycle is the unit of replication: its lengths share what differs between cycles.

    Args:
        joules_per_request: block -> output length in tokens -> gross J for each request.
        limits: relative limits of the power sensor.
        pilot: blocks that decided how many there are, as in `t_interval`.
    """
    cycles = {b: each for b, each in joules_per_request.items() if len(each) >= MINIMUM_LENGTHS}
    if not cycles:
        return None
    fits = {b: linear_regression(list(each), list(each.values())) for b, each in cycles.items()}
    slopes = [fit.slope for fit in fits.values()]
    first = None if pilot is None else [fit.slope for b, fit in fits.items() if b in pilot]
    residuals: dict[int, list[float]] = {}
    for block, each in cycles.items():
        fit = fits[block]
        for length, joules in each.items():
            apart = (joules - fit.intercept - fit.slope * length) / joules
            residuals.setdefault(length, []).append(apart)
    return Slope(
        joules_per_output_token=fmean(slopes),
        interval=t_interval(slopes, pilot=first),
        total=total_uncertainty(slopes, limits=limits, pilot=first),
        cycles=len(cycles),
        lengths=tuple(sorted(residuals)),
        worst_residual_relative=max(abs(fmean(each)) for each in residuals.values()),
    )
