"""Judge if a warm-up has reached a steady state that holds for the window which follows.

What matters is the bias: how far the window's mean would lie from the steady mean, relative to it.
It is bounded from two fits to all waves since the first one, by least squares:

- a straight trend, carried on over the window,
- an exponential approach to the steady level, with each time constant that the waves allow: how
  much of it would remain in the window. The time constant is chosen as in a profile likelihood: one
  is left out only where another explains the waves far better (Bates and Watts, Nonlinear
  Regression Analysis, 1988, 6.1).

The bound is the upper limit of the absolute bias at 97.5 % (before the cap 99 %, since it is tested
again and again): an equivalence test, as the two one-sided tests of Schuirmann (J. Pharmacokinet.
Biopharm. 15 (1987) 657-680). So it is wide where waves are noisy or few: a trend that cannot be
seen is not taken for none. The lag-1
autocorrelation of what the fit leaves widens it (Wilks, Statistical Methods in the Atmospheric
Sciences, 5.2.4).

A warm-up goes on until the bound is `rules.bound` for approaches as slow as `SLOWEST_S`. At its cap
the bound that was attained counts, up to `rules.maximum_bound`. Where no slow approach is visible
then, the bound covers approaches with time constants up to the tested span, and is the largest bias
that could hide: the detection limit of a two-sided test at 5 % that finds it in 95 % (Currie, Anal.
Chem. 40 (1968) 586-593). Slower ones hide in the noise.

A cap under `SHORT_CAP_S` is too short for any slow approach: one of 10 % with a time constant of
120 s leaves 9.5 % after 5 s, and the last half of those moved by 0.2 %. It gives the weaker verdict
`NO_DRIFT_SEEN`: the trend, carried on, keeps the window's mean within the bound of the mean of the
tested waves.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from worker.courses import Series, Wave
from worker.workload import WarmupRules

SLOWEST_S = 300.0
"""Longest time constant of an approach that ends a warm-up before its cap."""

SHORT_CAP_S = 60.0
"""A warm-up with a shorter cap shows no steady state, only that no drift was seen."""

LEAST_WAVES = 8
"""Waves that a warm-up needs to end before its cap: fewer tell little of their noise."""

LEAST_SPAN_SHARE = 0.5
"""The tested waves must span at least this share of the window that follows."""

STEADY, NOT_STEADY, TOO_FEW_WAVES = "steady", "not_steady", "too_few_waves"
NO_DRIFT_SEEN = "no_drift_seen"

_FINER = 1.5
"""Ratio of neighbouring time constants that are tried."""

_ALLOWED = 0.9987
"""A course is left out where its fit is worse by this quantile squared (3 standard errors)."""


_VISIBLE = 0.975
"""A slow approach is visible beyond this quantile on either side: 5 % of trendless warm-ups have
one."""


@dataclass(frozen=True)
class Verdict:
    """Result of the test; numbers are relative to the mean, None where there were too few waves."""

    verdict: str
    bound: float | None = None
    """Bound of the bias of the window's mean that was attained."""
    time_constant_s: float | None = None
    """Slowest approach that the bound covers; None where no approach was tested."""
    coefficient_of_variation: float | None = None
    trend_interval: tuple[float, float] | None = None
    """90 % interval of slope × span."""

    @property
    def passed(self) -> bool:
        return self.verdict in (STEADY, NO_DRIFT_SEEN)


def judge(
    waves: Sequence[Wave],
    *,
    window_s: float,
    waves_per_pass: int,
    rules: WarmupRules,
    final: bool,
) -> Verdict:
    """Judge the warm-up for a window of `window_s` that opens at the end of its last wave.

    Args:
        waves: all but the first, which may have compiled.
        waves_per_pass: after so many waves the same prompts come again.
        final: True at the cap.
    """
    least = rules.minimum_waves if final else LEAST_WAVES
    if len(waves) < max(least, waves_per_pass + 2):
        return Verdict(TOO_FEW_WAVES)
    start_s, end_s = waves[0].start_s, waves[-1].end_s
    if end_s - start_s < LEAST_SPAN_SHARE * window_s:
        return Verdict(TOO_FEW_WAVES)
    series = Series(waves, waves_per_pass)
    window = (end_s, end_s + window_s)
    trend = series.trend()
    if rules.cap_s < SHORT_CAP_S:
        passed, covered = NO_DRIFT_SEEN, None
        quantile = series.quantile(0.975 if final else 0.99)
        bound = trend.limit((end_s + window_s - start_s) / 2.0, quantile)
    else:
        passed = STEADY
        bound, covered = bias_limit(series, window, wanted=rules.bound, final=final)
    bound = max(bound, rules.bound)
    enough = bound <= (rules.maximum_bound if final else rules.bound)
    half_width = series.quantile(0.95) * trend.error * (end_s - start_s)
    change = trend.slope * (end_s - start_s)
    return Verdict(
        passed if enough else NOT_STEADY,
        bound,
        covered,
        series.variation,
        (change - half_width, change + half_width),
    )


def bias_limit(
    series: Series, window: tuple[float, float], *, wanted: float, final: bool
) -> tuple[float, float]:
    """Bound the bias of a window's mean, relative to the steady mean.

    Args:
        window: its start and end, in s, on the waves' clock.
        wanted: bound that is good enough for approaches of any time constant.
        final: True where an approach that is not visible counts only up to the span.

    Returns:
        The bound, and the longest time constant that it covers, in s.
    """
    start_s, end_s = window[0] - series.start_s, window[1] - series.start_s
    quantile, visible = series.quantile(0.975 if final else 0.99), series.quantile(_VISIBLE)
    allowed = series.quantile(_ALLOWED) ** 2
    fits = {tau_s: series.approach(tau_s) for tau_s in _time_constants(series)}
    changes = [
        (fit, _mean_left(tau_s, start_s, end_s) / fit.end_level) for tau_s, fit in fits.items()
    ]
    changes.append((series.trend(), end_s - start_s))
    best = min((fit for fit, _ in changes), key=lambda fit: fit.residual)
    limit = max(
        fit.limit(change, quantile)
        for fit, change in changes
        if fit.residual - best.residual <= allowed * best.variance
    )
    covered_s, slowest = SLOWEST_S, fits[SLOWEST_S]
    if final and limit > wanted and abs(slowest.slope) <= visible * slowest.error:
        span_s = min(SLOWEST_S, series.span_s)
        left = _mean_left(span_s, start_s, end_s)
        hidden = (visible + series.quantile(0.95)) * series.approach(span_s).error * left
        if hidden < limit:
            limit, covered_s = hidden, span_s
    return limit, covered_s


def _time_constants(series: Series) -> Iterator[float]:
    tau_s = SLOWEST_S
    yield tau_s
    while (tau_s := tau_s / _FINER) >= series.span_s / min(40, series.count):
        yield tau_s


def _mean_left(tau_s: float, start_s: float, end_s: float) -> float:
    """Return the mean of exp(-t / tau) from `start_s` to `end_s`."""
    first, last = math.exp(-start_s / tau_s), math.exp(-end_s / tau_s)
    return tau_s * (first - last) / (end_s - start_s)
