"""Fit the rates of waves to courses over time; the standard library alone.

Waves of one pass over the prompts differ by their prompts, not by the engine's state. Each wave is
therefore compared only with the waves at the same place of other passes (the fits are those within
places, as in an analysis of covariance).
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from operator import mul
from statistics import NormalDist
from typing import NamedTuple

MOST_VALUES = 200
"""More waves than this are merged in groups: it bounds the time of a fit."""

_CORRELATED = 2.33
"""Autocorrelation counts where it is at least this many of its standard errors."""


class Wave(NamedTuple):
    """One wave: times in s, what it gave (tokens, or joules), and its place in the pass."""

    start_s: float
    end_s: float
    amount: float
    place: int = 0
    """Waves are compared with those at the same place; 0 for waves that are all alike."""

    @property
    def rate(self) -> float:
        return self.amount / (self.end_s - self.start_s)


class Fit(NamedTuple):
    """Least squares of relative rates on one course over time."""

    slope: float
    error: float
    """Standard error of the slope."""
    middle: float
    """Mean of the course over the waves."""
    residual: float
    """Sum of the squares that are left."""
    variance: float
    """Variance of what is left of a wave, widened by its autocorrelation."""

    @property
    def level_at_zero(self) -> float:
        """Where an approach ends and a trend begins, relative to the mean of the waves."""
        return max(0.5, 1.0 - self.slope * self.middle)

    def limit(self, change: float, quantile: float) -> float:
        """Return the upper limit of the absolute effect of this change of the course."""
        return (abs(self.slope) + quantile * self.error) * abs(change)

    def visible(self, quantile: float) -> bool:
        """Return True where the course is no chance of the waves."""
        return abs(self.slope) > quantile * self.error


class Series:
    """Rates of waves relative to the mean at their place of the pass, fitted to courses over time.

    Args:
        waves: three or more, in order. Where they are fewer than their places and two, no place
            tells anything, and they are compared as if they were alike.
    """

    def __init__(self, waves: Sequence[Wave]) -> None:
        self.start_s = waves[0].start_s
        self.span_s = waves[-1].end_s - self.start_s
        self._places = _by_place(waves)
        if len(waves) < len(self._places) + 2:
            self._places = [range(len(waves))]
        rates = [wave.rate for wave in waves]
        levels = self._levels(rates)
        changes = [rate / level - 1.0 for rate, level in zip(rates, levels, strict=True)]
        times_s = [(wave.start_s + wave.end_s) / 2.0 - self.start_s for wave in waves]
        degrees = len(waves) - len(self._places)
        self.variation = math.sqrt(math.fsum(map(mul, changes, changes)) / degrees)
        if len(waves) > MOST_VALUES and len(waves) >= 8 * len(self._places):
            size = math.ceil(len(waves) / MOST_VALUES)
            changes, times_s = _merged(changes, size), _merged(times_s, size)
            self._places = [range(len(changes))]
        self._changes, self._times_s = changes, times_s
        self.count = len(changes)
        self._degrees = self.count - len(self._places) - 1

    def trend(self) -> Fit:
        """Fit a straight line; the slope is per s."""
        return self._fit(self._times_s)

    def approach(self, tau_s: float) -> Fit:
        """Fit an exponential approach; the slope is its size at the first of the waves."""
        return self._fit([math.exp(-time_s / tau_s) for time_s in self._times_s])

    def step(self, after_s: float) -> Fit:
        """Fit a step at a time on the waves' clock; the slope is the relative change."""
        return self._fit([float(self.start_s + time_s > after_s) for time_s in self._times_s])

    def count_until(self, end_s: float) -> int:
        """Return how many values lie before a time on the waves' clock."""
        return sum(self.start_s + time_s <= end_s for time_s in self._times_s)

    def quantile(self, probability: float) -> float:
        """Return the quantile of Student's t of the fits."""
        return t_quantile(probability, self._degrees)

    def _fit(self, course: Sequence[float]) -> Fit:
        levels = self._levels(course)
        steps = [value - level for value, level in zip(course, levels, strict=True)]
        spread = math.fsum(map(mul, steps, steps))
        if not spread:  # a step between places alone
            return Fit(0.0, math.inf, 0.0, math.inf, 0.0)
        slope = math.fsum(map(mul, steps, self._changes)) / spread
        rest = [y - slope * x for x, y in zip(steps, self._changes, strict=True)]
        residual = math.fsum(map(mul, rest, rest))
        variance = residual / self._degrees * _widening(rest, residual)
        error = math.sqrt(variance / spread)
        return Fit(slope, error, math.fsum(course) / len(course), residual, variance)

    def _levels(self, values: Sequence[float]) -> list[float]:
        """Return for each value the mean of the values at its place."""
        levels = [0.0] * len(values)
        for numbers in self._places:
            mean = math.fsum(values[number] for number in numbers) / len(numbers)
            for number in numbers:
                levels[number] = mean
        return levels


def _by_place(waves: Sequence[Wave]) -> list[Sequence[int]]:
    """Return the numbers of the waves at each place."""
    numbers: dict[int, list[int]] = defaultdict(list)
    for number, wave in enumerate(waves):
        numbers[wave.place].append(number)
    return list(numbers.values())


def _merged(values: Sequence[float], size: int) -> list[float]:
    """Return the means of groups; values before the first whole group are left out."""
    firsts = range(len(values) % size, len(values), size)
    return [math.fsum(values[first : first + size]) / size for first in firsts]


def _widening(rest: Sequence[float], residual: float) -> float:
    """Return the factor by which lag-1 autocorrelation widens the variance of a slow course.

    It is (1 + r) / (1 - r) of Wilks 5.2.4, where r is seen; r is estimated too low by about
    (1 + 4 r) / n (Kendall, Biometrika 41 (1954) 403-404).
    """
    count = len(rest)
    if count < 8 or not residual:
        return 1.0
    seen = math.fsum(map(mul, rest, rest[1:])) / residual
    correlation = min(seen + (1.0 + 4.0 * seen) / count, 0.9)
    if correlation * math.sqrt(count) < _CORRELATED:
        return 1.0
    return (1.0 + correlation) / (1.0 - correlation)


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
