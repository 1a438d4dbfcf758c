"""Attainment over cycles: its interval, and its test against the share that is to be kept."""

from collections.abc import Sequence
from statistics import fmean
from typing import Literal, NamedTuple

from scipy import special

from llm_energy.stats.intervals import CONFIDENCE, Interval, t_interval, t_quantile

Side = Literal["above", "below"]


class Attainment(NamedTuple):
    """The attainment of one cycle."""

    good: int
    arrivals: int

    @property
    def share(self) -> float:
        """Good requests over all; 0 without any request, as in a result."""
        return self.good / self.arrivals if self.arrivals else 0.0


def attainment_interval(cycles: Sequence[Attainment], over_cycles: Interval) -> Interval:
    """Return the interval of the mean attainment, from the spread of cycles and of requests.

    The binomial limits for as many independent requests as give `over_cycles` its width: no more
    than there were, and all of them where the cycles show no spread, as at 100 %. Korn and Graubard
    (1998), Survey Methodology 24:193. Within 0 and 1, and wider towards the middle.

    Args:
        over_cycles: t interval of the mean over cycles.
    """
    mean, count = _mean_of(cycles, over_cycles)
    error = (1.0 - over_cycles.confidence) / 2.0
    return Interval(*_binomial_limits(mean * count, count, error), over_cycles.confidence)


def _mean_of(cycles: Sequence[Attainment], over_cycles: Interval) -> tuple[float, float]:
    """Return the mean attainment, and the effective number of requests that it is known from."""
    count = float(sum(cycle.arrivals for cycle in cycles))
    mean = fmean(cycle.share for cycle in cycles)
    if over_cycles.half_width > 0 and count > 1:
        t = t_quantile(count - 1, over_cycles.confidence)
        count = min(count, mean * (1.0 - mean) * (t / over_cycles.half_width) ** 2)
    return mean, count


def _binomial_limits(good: float, count: float, error: float) -> tuple[float, float]:
    """Return the lower and the upper limit of a share, each wrong with `error` at most.

    Clopper and Pearson (1934), Biometrika 26:404.
    """
    least = 0.0 if good == 0 else float(special.betaincinv(good, count - good + 1, error))
    most = 1.0 if good == count else float(special.betaincinv(good + 1, count - good, 1.0 - error))
    return least, most


def clear_side(cycles: Sequence[Attainment], share: float, *, tests: int) -> Side | None:
    """Return the side of `share` on which the expected attainment clearly lies; None if on none.

    The one-sided limit of the interval of the mean attainment must lie there: the binomial one for
    the same effective number of requests, at 5 % / `tests` (Bonferroni), so that of so many tests
    none is wrong with 95 %. None below two cycles.
    """
    over_cycles = t_interval([cycle.share for cycle in cycles])
    if over_cycles is None:
        return None
    mean, count = _mean_of(cycles, over_cycles)
    least, most = _binomial_limits(mean * count, count, (1.0 - CONFIDENCE) / tests)
    if least >= share:
        return "above"
    return "below" if most < share else None
