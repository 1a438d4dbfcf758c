"""Bound the bias that a warm-up leaves in the window which follows.

What matters is the bias: how far the window's mean would lie from the steady mean, relative to it.
It is bounded from fits by least squares to all waves since the first one:

- a straight trend, carried on over the window,
- an exponential approach to the steady level, with each time constant up to `SLOWEST_S` that the
  waves allow: how much of it remains in the window. The time constant is chosen as in a profile
  likelihood: one is left out only where another explains the waves far better (Bates and Watts,
  Nonlinear Regression Analysis, 1988, 6.1).

Where the waves moved visibly, all of this must hold for those since the middle of the warm-up as
well: boards settle within seconds and warm up over minutes, and a fit that the first decides would
hide the second.

The bound is the upper confidence limit of the absolute bias, as in an equivalence test (Schuirmann,
J. Pharmacokinet. Biopharm. 15 (1987) 657-680). So it is wide where waves are noisy or few: a trend
that cannot be seen is not taken for none. The lag-1 autocorrelation of what the fit leaves widens
it (Wilks, Statistical Methods in the Atmospheric Sciences, 5.2.4).

A warm-up ends where the bound of the window to come is `rules.bound`, or at its cap. After the
window it is judged again, with the waves of the window: these bounds are part of the result, and
the campaign's margin decides about them. There a step inside the window counts too, where one is
seen.

A cap under `SHORT_CAP_S` is too short for any slow approach: one of 10 % with a time constant of
120 s leaves 9.5 % after 5 s, and the last half of those moved by 0.2 %. The bound is then that of
the difference between the means of the window and of the warm-up, and the verdict says no more than
whether a drift was seen.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from worker.courses import Series, Wave
from worker.workload import WarmupRules

SLOWEST_S = 300.0
"""Longest time constant of an approach that a bound covers."""

SHORT_CAP_S = 60.0
"""A warm-up with a shorter cap shows no steady state, only that no drift was seen."""

LEAST_BOUND = 0.01
"""A smaller bound is never stated: no course is exactly one of those that were fitted."""

SEEN_LIMIT = 0.05
"""Largest bound of a steady window where a drift is visible, and of any after a short warm-up."""

HIDDEN_LIMIT = 0.10
"""Largest bound of a steady window where no drift is visible."""

LEAST_WAVES = 8
"""Waves that a warm-up needs to end before its cap: fewer tell little of their noise."""

LEAST_SPAN_SHARE = 0.5
"""The tested waves must span at least this share of the window that follows."""

STEADY, NOT_STEADY = "steady", "not_steady"
NO_DRIFT_SEEN, DRIFT_SEEN, UNDECIDED = "no_drift_seen", "drift_seen", "undecided"
"""Verdicts after a short warm-up; undecided where the bound is large and no drift was seen."""
TOO_FEW_WAVES = "too_few_waves"

_AHEAD, _AFTER = 0.99, 0.96
"""Level of a bound before the window, which is tested again and again, and after it."""

_VISIBLE = 0.995
"""A drift is visible beyond this quantile on either side."""

_ALLOWED = 0.9987
"""A course is left out where its fit is worse by this quantile squared (3 standard errors). The
waves moved where one is that far from none."""

_FINER = 1.5
"""Ratio of neighbouring time constants that are tried."""

_FASTEST_SHARE = 40
"""The shortest time constant that is tried is this part of the waves' span, or one wave's."""

_BLOCKS = 10
"""A step is looked for at so many moments of the window."""


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


@dataclass(frozen=True)
class Bias:
    """The bias of a window's mean, relative to the steady mean."""

    limit: float
    """Its upper limit."""
    moved: bool
    """True where a trend or an approach is no chance of the waves."""


def bound_ahead(waves: Sequence[Wave], *, window_s: float, rules: WarmupRules) -> float | None:
    """Bound the bias of a window that opens at the end of the last wave.

    Args:
        waves: all but the first, which may have compiled.

    Returns:
        The bound, relative; None where the waves, or the later ones where they must hold alone, are
        too few or span too little.
    """
    if not _suffice(waves, window_s):
        return None
    start_s, end_s = waves[0].start_s, waves[-1].end_s
    series, window = Series(waves), (end_s, end_s + window_s)
    if rules.cap_s < SHORT_CAP_S:
        between_means_s = (end_s - start_s + window_s) / 2.0
        return series.trend().limit(between_means_s, series.quantile(_AHEAD))
    bias = bias_of(series, window, _AHEAD)
    if bias.limit > rules.bound or not bias.moved:
        return bias.limit
    later = _later(waves, end_s)
    if not _suffice(later, window_s):
        return None
    return max(bias.limit, bias_of(Series(later), window, _AHEAD).limit)


def judge(waves: Sequence[Wave], *, window: tuple[float, float], cap_s: float) -> Verdict:
    """Judge a window by the waves of its warm-up and its own.

    Args:
        waves: all but the first of the warm-up, which may have compiled.
        window: its start and end, in s, on the waves' clock.
        cap_s: longest time that the warm-up had.
    """
    opened_s, closed_s = window
    if len(waves) < 3 or not waves[0].end_s <= opened_s < waves[-1].end_s:
        return Verdict(TOO_FEW_WAVES)
    series, short = Series(waves), cap_s < SHORT_CAP_S
    trend, quantile = series.trend(), series.quantile(_VISIBLE)
    if short:
        course = series.step(opened_s)
        bound = course.limit(1.0, series.quantile(_AFTER))
    else:
        course = series.approach(SLOWEST_S)
        bias = bias_of(series, window, _AFTER)
        bound, later = bias.limit, _later(waves, opened_s)
        if bias.moved and len(later) > _places(later) + 2:
            bound = max(bound, bias_of(Series(later), window, _AFTER).limit)
    stretch_s = 2.0 * opened_s - closed_s
    step = step_limit(Series(near), window) if len(near := _since(waves, stretch_s)) > 2 else None
    seen = trend.visible(quantile) or course.visible(quantile) or step is not None
    bound = max(bound, step or 0.0, LEAST_BOUND)
    if short:
        fair = NO_DRIFT_SEEN if bound <= SEEN_LIMIT else UNDECIDED
        verdict = DRIFT_SEEN if seen else fair
    else:
        verdict = STEADY if bound <= (SEEN_LIMIT if seen else HIDDEN_LIMIT) else NOT_STEADY
    half_width = series.quantile(0.95) * trend.error * series.span_s
    moved = trend.slope * series.span_s
    return Verdict(
        verdict,
        bound,
        None if short else SLOWEST_S,
        series.variation,
        (moved - half_width, moved + half_width),
    )


def bias_of(series: Series, window: tuple[float, float], level: float) -> Bias:
    """Bound the bias of a window's mean by every trend and approach that the waves allow."""
    start_s, end_s = window[0] - series.start_s, window[1] - series.start_s
    trend = series.trend()
    changes = [(trend, (end_s - start_s) / trend.level_at_zero)]
    for tau_s in _time_constants(series):
        fit = series.approach(tau_s)
        changes.append((fit, _mean_left(tau_s, start_s, end_s) / fit.level_at_zero))
    best = min((fit for fit, _ in changes), key=lambda fit: fit.residual)
    chance, quantile = series.quantile(_ALLOWED), series.quantile(level)
    allowed = chance**2 * best.variance
    limits = [
        fit.limit(change, quantile)
        for fit, change in changes
        if fit.residual - best.residual <= allowed
    ]
    return Bias(max(limits), any(fit.visible(chance) for fit, _ in changes))


def step_limit(series: Series, window: tuple[float, float]) -> float | None:
    """Return the limit of the bias by a step inside the window; None where none is visible.

    Of the two levels either may be the steady one. The quantile is that of Bonferroni.
    """
    opened_s, length_s = window[0], window[1] - window[0]
    splits: dict[int, float] = {}
    for block in range(_BLOCKS):
        before = series.count_until(opened_s + length_s * block / _BLOCKS)
        if 2 <= before <= series.count - 2:
            splits.setdefault(before, block / _BLOCKS)
    quantile = series.quantile(1.0 - (1.0 - _VISIBLE) / max(1, len(splits)))
    limits = [
        fit.limit(max(share, 1.0 - share), series.quantile(_AFTER))
        for share in splits.values()
        if (fit := series.step(opened_s + length_s * share)).visible(quantile)
    ]
    return max(limits, default=None)


def _suffice(waves: Sequence[Wave], window_s: float) -> bool:
    """Return True where waves may end the warm-up for a window of this length."""
    if len(waves) < max(LEAST_WAVES, _places(waves) + 2):
        return False
    return waves[-1].end_s - waves[0].start_s >= LEAST_SPAN_SHARE * window_s


def _places(waves: Sequence[Wave]) -> int:
    return len({wave.place for wave in waves})


def _later(waves: Sequence[Wave], opened_s: float) -> list[Wave]:
    """Return the waves since the middle of the warm-up before a window that opens then."""
    return _since(waves, (waves[0].start_s + opened_s) / 2.0)


def _since(waves: Sequence[Wave], start_s: float) -> list[Wave]:
    return [wave for wave in waves if wave.start_s >= start_s]


def _time_constants(series: Series) -> Iterator[float]:
    tau_s = SLOWEST_S
    yield tau_s
    while (tau_s := tau_s / _FINER) >= series.span_s / min(_FASTEST_SHARE, series.count):
        yield tau_s


def _mean_left(tau_s: float, start_s: float, end_s: float) -> float:
    """Return the mean of exp(-t / tau) from `start_s` to `end_s`."""
    first, last = math.exp(-start_s / tau_s), math.exp(-end_s / tau_s)
    return tau_s * (first - last) / (end_s - start_s)
