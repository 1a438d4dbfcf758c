"""Tests of an attainment over cycles against the share that is to be kept, and the rate between."""

import math
from collections.abc import Sequence
from statistics import fmean
from typing import Literal, NamedTuple

from scipy import special

from llm_energy.stats.intervals import CONFIDENCE, standard_deviation, t_quantile

Side = Literal["above", "below"]


class Attainment(NamedTuple):
    """The attainment of one cycle."""

    good: int
    arrivals: int

    @property
    def share(self) -> float:
        """Good requests over all."""
        return self.good / self.arrivals


def clear_side(cycles: Sequence[Attainment], share: float, *, tests: int) -> Side | None:
    """Return the side of `share` on which the expected attainment clearly lies; None if on none.

    Two one-sided limits must both lie there: that of Student's t over the cycles, which holds the
    scatter between them, and that of the binomial distribution (Clopper and Pearson 1934,
    Biometrika 26:404) for all requests together, which holds where all cycles are alike. Each is at
    5 % / `tests` (Bonferroni), so that of so many tests none is wrong with 95 %. None below two
    cycles.
    """
    if len(cycles) < 2:
        return None
    error = (1.0 - CONFIDENCE) / tests
    shares = [cycle.share for cycle in cycles]
    spread = standard_deviation(shares) / math.sqrt(len(shares))
    half = t_quantile(len(shares) - 1, 1.0 - 2.0 * error) * spread
    good, count = sum(cycle.good for cycle in cycles), sum(cycle.arrivals for cycle in cycles)
    least = 0.0 if good == 0 else float(special.betaincinv(good, count - good + 1, error))
    most = 1.0 if good == count else float(special.betaincinv(good + 1, count - good, 1.0 - error))
    if min(fmean(shares) - half, least) >= share:
        return "above"
    if max(fmean(shares) + half, most) < share:
        return "below"
    return None
