"""The highest rate of arrivals at which a configuration keeps its objectives, with its interval."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from llm_energy.analysis.design import Design, Search
from llm_energy.analysis.judgement import judge
from llm_energy.campaign.arrival_settings import Objectives
from llm_energy.results.parts import Model
from llm_energy.results.result import Result
from llm_energy.stats.attainment import Attainment, clear_side
from llm_energy.stats.bisection import Bracket, bisect, most_points
from llm_energy.system.numbers import plural

Clearly = Literal["kept", "missed"]


class VisitedRate(Model):
    """A rate that a search visited."""

    experiment: str
    rate: float
    attainments: list[float | None]
    """Attainment of each cycle; None where it has none, as after out of memory."""
    growing: int
    """Saturated cycles, in which more requests arrived than ended, beyond chance."""
    good: bool
    """True where the mean attainment is the share that must be good, or more, in no cycle the queue
    grew, and none is without an attainment."""
    clearly: Clearly | None
    """`kept`: the mean is clearly not below the share; `missed`: it clearly is, or the queue grew
    in every cycle; None: more cycles would tell."""


class HighestGoodRate(Model):
    """The outcome of a search, in requests per second."""

    name: str
    """Name of its experiments without their rate."""
    share: float
    """Share of the requests that must be good."""
    lowest: float
    """Lowest rate that it may visit."""
    highest: float
    """Highest rate that it may visit."""
    rates: int
    """Number of rates that it may visit."""
    found: float | None
    """Highest rate that was judged good; None where none was, or the search is not at its end."""
    complete: bool
    """True where the search is at its end."""
    at_least: bool
    """True where the highest rate that it may visit is good: the true one may lie above."""
    low: float | None
    """Highest visited rate at which the objectives are clearly kept."""
    high: float | None
    """Lowest visited rate at which they are clearly missed: with 95 % the true rate lies at or
    above `low` and below `high`, if attainment falls along the rates."""
    visited: list[VisitedRate]
    """By rate."""
    sentence: str
    """The outcome in words."""


def highest_good_rates(design: Design, results: Sequence[Result]) -> list[HighestGoodRate]:
    """Return the outcome of each search of the campaign.

    Args:
        results: those of the campaign, judged by its objectives.
    """
    if design.slo is None:
        return []
    cycles: dict[str, list[Result]] = {}
    for result in sorted(results, key=lambda result: result.cycle):
        cycles.setdefault(result.experiment, []).append(result)
    return [_found(search, cycles, design) for search in design.searches]


def _found(
    search: Search, cycles: Mapping[str, Sequence[Result]], design: Design
) -> HighestGoodRate:
    assert design.slo is not None
    share, tests = design.slo.share, most_points(len(search.rates))
    visited: dict[int, VisitedRate] = {}

    def good(index: int) -> bool | None:
        own = cycles.get(search.experiments[index], ())
        lost = any(r.open_load is not None and r.open_load.attained is None for r in own)
        if len(own) < design.cycles or lost:  # its requests are gone, and with them the judgement
            return None
        visited[index] = _visited(search, index, own, design.slo, tests)
        return visited[index].good

    bracket = bisect(len(search.rates), good)
    by_rate = [visited[index] for index in sorted(visited)]
    kept = [one.rate for one in by_rate if one.clearly == "kept"]
    missed = [one.rate for one in by_rate if one.clearly == "missed"]
    low, high = max(kept, default=None), min(missed, default=None)
    if low is not None and high is not None and low >= high:
        low = high = None  # attainment does not fall along the rates: the interval has no meaning
    return HighestGoodRate(
        name=search.name,
        share=share,
        lowest=search.rates[0],
        highest=search.rates[-1],
        rates=len(search.rates),
        found=search.rates[bracket.low] if bracket.next is None and bracket.low >= 0 else None,
        complete=bracket.next is None,
        at_least=bracket.low == len(search.rates) - 1,
        low=low,
        high=high,
        visited=by_rate,
        sentence=_sentence(search, bracket, share, (low, high)),
    )


def _visited(
    search: Search, index: int, cycles: Sequence[Result], slo: Objectives | None, tests: int
) -> VisitedRate:
    assert slo is not None
    judged = judge(cycles, slo, Path())  # by these objectives already: no file is read
    loads = [result.open_load for result in cycles]
    counts = [
        Attainment(load.attained.good, load.arrivals)
        for load in loads
        if load is not None and load.attained is not None and load.arrivals
    ]
    whole = len(counts) == len(cycles)
    side = clear_side(counts, slo.share, tests=tests) if whole else None
    clearly: Clearly | None = None
    if side == "below" or judged.growing == len(cycles) > 1:
        clearly = "missed"
    elif side == "above" and not judged.growing:
        clearly = "kept"
    return VisitedRate(
        experiment=search.experiments[index],
        rate=search.rates[index],
        attainments=judged.attainments,
        growing=judged.growing,
        good=judged.good,
        clearly=clearly,
    )


def _sentence(
    search: Search, bracket: Bracket, share: float, limits: tuple[float | None, float | None]
) -> str:
    rates, part = search.rates, f"{100 * share:g}\N{NO-BREAK SPACE}%"
    begin = f"{search.name}: "
    end = (
        f"Bisection over {plural(len(rates), 'rate')} from {rates[0]:g} to {rates[-1]:g} "
        f"requests/s, {len(bracket.visited)} of them measured."
    )
    if bracket.next is not None:
        return f"{begin}the search has not come to its end. {end}"
    if bracket.low < 0:
        return f"{begin}no rate keeps the objectives for {part} of the requests. {end}"
    at_least = "at least " if bracket.high == len(rates) else ""
    low, high = limits
    ends = [f"at or above {low:g}"] if low is not None else []
    ends += [f"below {high:g}"] if high is not None else []
    interval = f"95 % interval: {' and '.join(ends)}" if ends else "no interval"
    return (
        f"{begin}{at_least}{rates[bracket.low]:g} requests/s is the highest rate that keeps the "
        f"objectives for {part} of the requests ({interval}). {end}"
    )
