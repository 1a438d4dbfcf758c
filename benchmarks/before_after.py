"""Rules that were too sure, simulated beside the rules that took their place.

`coverage.py` prints the rows. Each is the share of simulated campaigns in which a nominal 95 %
interval holds the truth, or in which a family of comparisons holds no wrong statement: before with
the rule that was used first (after a second stage: that of all metrics but the deciding one), after
with today's. `narrower`: how often an interval was narrower than the one that it must hold.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from llm_energy.stats.attainment import Attainment, Side, attainment_interval, clear_side
from llm_energy.stats.bisection import bisect, most_points
from llm_energy.stats.intervals import Interval, t_interval, t_quantile, total_uncertainty
from llm_energy.stats.paired_ratios import EQUIVALENCE_LEVEL, holm, paired_ratio

Array = NDArray[np.float64]

COUNTS = (3, 5, 10)
SPREAD = 0.03
"""Standard deviation of the cycles over their mean."""
LIMITS = (0.3, 1.0, 3.0)
"""Sum of the sensor's limits over the standard error of the mean."""
MARGIN, FAMILY = 0.02, 10
ARRIVALS, CAMPAIGNS = 100, 2000
"""Requests of a cycle, and campaigns for each row about a share of them."""
REQUESTS, TRUE_RATE = 400, 11.31
"""Requests of a cycle of a search, and the rate at which its share is expected to be good."""
TARGET, MOST = 0.02, 20
"""Half width for which cycles are added, and the most cycles."""


@dataclass(frozen=True)
class Row:
    """Shares of what is right, by the rule that was used first and by today's."""

    quantity: str
    data: str
    n: int | None
    """Cycles, or samples of power; None for windows, whose length stands in `data`."""
    before: float | None
    """None where there was no rule, or where every window is refused."""
    after: float | None
    narrower_before: float | None = None
    narrower_after: float | None = None
    target: float | None = 0.93

    @property
    def missed(self) -> bool:
        """True where the target is missed, or an interval is narrower than one that it holds."""
        short = None not in (self.target, self.after) and self.after < self.target
        return short or bool(self.narrower_after)


def rows(chance: np.random.Generator, samples: int) -> Iterator[Row]:
    for n in COUNTS:
        for relative in LIMITS:
            for offset in (0.0, 0.5):
                yield total_interval(chance, samples, n, relative, offset)
    for first in (3, 5):
        yield from second_stage(chance, samples, first)
    for n in COUNTS:
        yield equivalence(chance, samples // FAMILY, n)
    for n in COUNTS:
        for share, together in ((0.9, 0.0), (0.99, 0.0), (0.999, 0.0), (0.9, 0.02), (0.99, 0.05)):
            yield attainment(chance, min(samples, CAMPAIGNS), n, share, together)
    searches = chance.spawn(1)[0]
    for n in COUNTS[:2]:
        for share, together in ((0.9, 0.0), (0.9, 0.05), (0.99, 0.0), (0.99, 0.02), (0.99, 0.05)):
            yield highest_good(searches, min(samples, CAMPAIGNS), n, share, together)


def total_interval(
    chance: np.random.Generator, samples: int, n: int, relative: float, offset: float
) -> Row:
    """Mean with an error that all cycles share; `offset` is the offset's share of the limits."""
    values = chance.normal(1.0, SPREAD, (samples, n))
    limit = relative * SPREAD / np.sqrt(n)
    limits = (limit * (1 - offset), limit * offset)
    common = sum(chance.uniform(-each, each, samples) for each in limits)
    mean, error = values.mean(axis=1), values.std(axis=1, ddof=1) / np.sqrt(n)
    repeated = t_quantile(n - 1) * error
    before = welch_satterthwaite(mean, error, n, limits)
    after = np.hypot(repeated, limit * mean)
    found = total_uncertainty(values[0].tolist(), limits=limits)
    assert found is not None
    np.testing.assert_allclose(after[0], found.interval.half_width)
    off = np.abs(mean - 1.0 + common)
    part = f", {offset:.0%} of it offset" if offset else ""
    data = f"limit {relative:g} s/√n{part}"
    return row("total interval", data, n, off, before, after, repeated)


def welch_satterthwaite(mean: Array, error: Array, n: int, limits: tuple[float, ...]) -> Array:
    """Half width before: t of the effective degrees of freedom times u_c."""
    sensor = np.hypot(*limits) / np.sqrt(3) * mean
    combined = np.hypot(error, sensor)
    return np.asarray(special.stdtrit((n - 1) * (combined / error) ** 4, 0.975) * combined)


def second_stage(chance: np.random.Generator, samples: int, first: int) -> Iterator[Row]:
    """Means after as many cycles as the first ones called for, with and without a sensor."""
    values = chance.normal(1.0, SPREAD, (samples, MOST))
    pilot = values[:, :first]
    spread, t = pilot.std(axis=1, ddof=1), t_quantile(first - 1)
    n = np.ceil((t * spread / (TARGET * pilot.mean(axis=1))) ** 2).clip(first, MOST)
    taken = np.arange(MOST) < n[:, None]
    mean = (values * taken).sum(axis=1) / n
    squares = (((values - mean[:, None]) * taken) ** 2).sum(axis=1)
    ordinary, error = np.sqrt(squares / (n - 1) / n), spread / np.sqrt(n)
    narrow, wide = special.stdtrit(n - 1, 0.975) * ordinary, t * error
    kept = int(n[0])
    found = t_interval(values[0, :kept].tolist(), pilot=pilot[0].tolist())
    assert found is not None
    np.testing.assert_allclose(wide[0], found.half_width)
    data = f"first cycles decided, at most {MOST}"
    off = np.abs(mean - 1.0)
    yield row("t after a second stage", data, first, off, narrow, wide, wide)
    limit = 0.01
    combined = np.hypot(ordinary, limit / np.sqrt(3) * mean)
    before = special.stdtrit((n - 1) * (combined / ordinary) ** 4, 0.975) * combined
    off = np.abs(mean - 1.0 + chance.uniform(-limit, limit, samples))
    after = np.hypot(wide, limit * mean)
    yield row("total after a second stage", f"{data}, limit 1 %", first, off, before, after, wide)


def equivalence(chance: np.random.Generator, families: int, n: int) -> Row:
    """Families of ratios that are all a margin apart: none may be called equivalent."""
    logs = chance.normal(np.log1p(MARGIN), SPREAD / n, (families, FAMILY, n))
    error = logs.std(axis=2, ddof=1) / np.sqrt(n)
    p = special.stdtr(n - 1, -(np.log1p(MARGIN) - np.abs(logs.mean(axis=2))) / error)
    adjusted = [min(holm(family)) for family in p.tolist()]
    ratio = paired_ratio(dict.fromkeys(range(n), 1.0), dict(enumerate(np.exp(logs[0, 0]).tolist())))
    assert ratio is not None
    np.testing.assert_allclose(p[0, 0], ratio.equivalence_p_value(MARGIN))
    before = float((p.min(axis=1) > EQUIVALENCE_LEVEL).mean())
    after = float((np.array(adjusted) > EQUIVALENCE_LEVEL).mean())
    return Row("no wrong `equivalent`", f"{FAMILY} ratios {MARGIN:.0%} apart", n, before, after)


def attainment(
    chance: np.random.Generator, samples: int, n: int, share: float, together: float
) -> Row:
    """Mean share of good requests of `n` cycles, with the correlation of two requests of one."""
    shares = np.full((samples, n), share)
    if together:
        shares = chance.beta(*((1 / together - 1) * np.array((share, 1 - share))), (samples, n))
    held = np.zeros(2)
    for good in chance.binomial(ARRIVALS, shares).tolist():
        student = t_interval([one / ARRIVALS for one in good]) or Interval(0.0, 1.0)
        own = attainment_interval([Attainment(one, ARRIVALS) for one in good], student)
        held += [each.low <= share <= each.high for each in (student, own)]
    burst = f", correlated by {together:g}" if together else ""
    target = None if together else 0.93
    data = f"{share:.1%} of {ARRIVALS} requests a cycle{burst}"
    return Row("attainment", data, n, *(held / samples).tolist(), target=target)


def highest_good(
    chance: np.random.Generator, samples: int, n: int, share: float, together: float
) -> Row:
    """The interval of a search on 16 rates: misses grow with the cube of the rate."""
    rates = 4.0 * 1.15 ** np.arange(16)
    expected = np.clip(1 - (1 - share) * (rates / TRUE_RATE) ** 3, 1e-6, 1 - 1e-6)
    shares = np.broadcast_to(expected, (samples, n, len(rates)))
    if together:
        shares = chance.beta(
            *((1 / together - 1) * np.stack((expected, 1 - expected))), shares.shape
        )
    good = chance.binomial(REQUESTS, shares)
    held = np.zeros(2)
    for campaign in good:
        mean = campaign.mean(axis=0) / REQUESTS
        points = bisect(len(rates), lambda point, mean=mean: bool(mean[point] >= share)).visited
        for rule, decide in enumerate((student_and_all_requests, clear_side)):
            side = {
                rates[point]: decide(
                    [Attainment(int(one), REQUESTS) for one in campaign[:, point]],
                    share,
                    tests=most_points(len(rates)),
                )
                for point in points
            }
            kept = max((rate for rate in side if side[rate] == "above"), default=0.0)
            missed = min((rate for rate in side if side[rate] == "below"), default=np.inf)
            held[rule] += kept >= missed or kept <= TRUE_RATE < missed
    burst = f", correlated by {together:g}" if together else ""
    target = None if share > 0.9 and together else 0.93
    data = f"{share:.0%} of {REQUESTS} requests a cycle{burst}"
    return Row("highest good rate", data, n, *(held / samples).tolist(), target=target)


def student_and_all_requests(
    cycles: Sequence[Attainment], share: float, *, tests: int
) -> Side | None:
    """Decide as before: by Student's t over cycles, and by the binomial limit of all requests."""
    error = 0.05 / tests
    shares = [cycle.share for cycle in cycles]
    over = t_interval(shares, 1 - 2 * error)
    assert over is not None
    good, count = sum(cycle.good for cycle in cycles), sum(cycle.arrivals for cycle in cycles)
    least = special.betaincinv(good, count - good + 1, error) if good else 0.0
    most = special.betaincinv(good + 1, count - good, 1 - error) if good < count else 1.0
    if min(over.low, least) >= share:
        return "above"
    return "below" if max(over.high, most) < share else None


def row(
    quantity: str, data: str, n: int, off: Array, before: Array, after: Array, least: Array
) -> Row:
    covered = [float((off <= width).mean()) for width in (before, after)]
    narrower = [float((width < least * (1 - 1e-12)).mean()) for width in (before, after)]
    return Row(quantity, data, n, *covered, *narrower)
