"""Judge if a warm-up has reached a steady state: an equivalence test on the trend of its waves.

A small coefficient of variation alone is blind to slow drift, and a trend that is 'not
significant' may only be noisy. So a trend must be shown to be small: the 90 % interval of the
relative change over the tested waves must lie inside ±bound (two one-sided tests at 5 %;
Schuirmann, J. Pharmacokinet. Biopharm. 15 (1987) 657-680).

The bound follows the noise: a trendless series of this noise keeps within twice the interval's
half width nine times in ten, so that is the bound, but never under `bound` (a change that does not
matter) and never over `maximum_bound` (one that does).

Waves of one pass over the prompts differ by their prompts, not by the engine's state. Each wave is
therefore compared only with the waves at the same place of other passes (the trend and the
variation are those within places, as in an analysis of covariance).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from worker.workload import WarmupRules

LEAST_TESTED = 8
"""Waves to test where there are so many: fewer leave the interval few degrees of freedom."""

STEADY, NOT_STEADY, TOO_FEW_WAVES = "steady", "not_steady", "too_few_waves"


@dataclass(frozen=True)
class Verdict:
    """Result of the test; numbers are relative to the mean, None where there were too few waves."""

    verdict: str
    coefficient_of_variation: float | None = None
    trend_interval: tuple[float, float] | None = None
    """90 % interval of slope × span."""
    bound: float | None = None

    @property
    def steady(self) -> bool:
        return self.verdict == STEADY


def judge(throughput: Sequence[float], *, waves_per_pass: int, rules: WarmupRules) -> Verdict:
    """Test the later half of the waves after the first one (which may have compiled).

    Args:
        throughput: output tokens per second of each wave, in order.
        waves_per_pass: after so many waves the same prompts come again.
    """
    needed = max(rules.minimum_waves, waves_per_pass + 2)
    after_first = len(throughput) - 1
    if after_first < needed:
        return Verdict(TOO_FEW_WAVES)
    count = max(needed, LEAST_TESTED, 2 * waves_per_pass, after_first // 2)
    tested = throughput[-min(after_first, count) :]
    return judge_trend(
        tested,
        places=waves_per_pass,
        cv_threshold=rules.cv_threshold,
        bound=rules.bound,
        maximum_bound=rules.maximum_bound,
    )


def judge_trend(
    values: Sequence[float],
    *,
    places: int,
    cv_threshold: float,
    bound: float,
    maximum_bound: float,
) -> Verdict:
    """Test that a series has no trend that matters, as this module describes.

    Args:
        values: at least `places` + 2 of them, in order, equally far apart.
        places: values so many apart are compared with each other; 1 for those that are all alike.
    """
    variation, trend, standard_error, degrees = _within_places(values, places)
    half_width = t_quantile(0.95, degrees) * standard_error
    interval = (trend - half_width, trend + half_width)
    bound = min(max(bound, 2.0 * half_width), maximum_bound)
    inside = -bound <= interval[0] and interval[1] <= bound
    steady = inside and variation <= cv_threshold
    return Verdict(STEADY if steady else NOT_STEADY, variation, interval, bound)


def _within_places(values: Sequence[float], places: int) -> tuple[float, float, float, int]:
    """Fit relative values to the order of waves by least squares, within places of the pass.

    Args:
        values: at least `places` + 2 of them.

    Returns:
        Coefficient of variation about the places' means, slope × span, its standard error, and
        the degrees of freedom of the residuals.
    """
    order: list[float] = []
    change: list[float] = []
    for place in range(places):
        group = range(place, len(values), places)
        middle = math.fsum(group) / len(group)
        level = math.fsum(values[i] for i in group) / len(group)
        order += [i - middle for i in group]
        change += [values[i] / level - 1.0 for i in group]
    spread = math.fsum(x * x for x in order)
    slope = math.fsum(x * y for x, y in zip(order, change, strict=True)) / spread
    residual = math.fsum((y - slope * x) ** 2 for x, y in zip(order, change, strict=True))
    degrees = len(values) - places - 1
    span = len(values) - 1
    variation = math.sqrt(math.fsum(y * y for y in change) / (degrees + 1))
    return variation, slope * span, math.sqrt(residual / degrees / spread) * span, degrees


def t_quantile(probability: float, degrees: int) -> float:
    """Return a quantile of Student's t distribution; scipy is in no engine's environment.

    G. W. Hill, Algorithm 396: Student's t-quantiles, Communications of the ACM 13 (1970) 619-620;
    six significant digits from 5 degrees of freedom on, three and more for 3 and 4, exact below.

    Args:
        probability: probability of a smaller value, 0.5 < probability < 1.
        degrees: degrees of freedom, at least 1.
    """
    if not 0.5 < probability < 1.0 or degrees < 1:
        raise ValueError(f"t_quantile({probability}, {degrees}): out of range")
    n = float(degrees)
    two_tailed = 2.0 * (1.0 - probability)
    if degrees == 1:
        return 1.0 / math.tan(two_tailed * math.pi / 2.0)
    if degrees == 2:
        return math.sqrt(2.0 / (two_tailed * (2.0 - two_tailed)) - 2.0)
    a = 1.0 / (n - 0.5)
    b = 48.0 / a**2
    c = ((20700.0 * a / b - 98.0) * a - 16.0) * a + 96.36
    d = ((94.5 / (b + c) - 3.0) / b + 1.0) * math.sqrt(a * math.pi / 2.0) * n
    x = d * two_tailed
    y = x ** (2.0 / n)
    if y > 0.05 + a:  # the asymptotic inverse expansion about the normal
        x = NormalDist().inv_cdf(two_tailed / 2.0)
        y = x**2
        if degrees < 5:
            c += 0.3 * (n - 4.5) * (x + 0.6)
        c += (((0.05 * d * x - 5.0) * x - 7.0) * x - 2.0) * x + b
        y = (((((0.4 * y + 6.3) * y + 36.0) * y + 94.5) / c - y - 3.0) / b + 1.0) * x
        y = math.expm1(a * y**2)
    else:
        y = (
            (1.0 / (((n + 6.0) / (n * y) - 0.089 * d - 0.822) * (n + 2.0) * 3.0) + 0.5 / (n + 4.0))
            * y
            - 1.0
        ) * (n + 1.0) / (n + 2.0) + 1.0 / y
    return math.sqrt(n * y)
