"""Further measurements that results decide on: cycles in two stages, and searches for a rate.

A decision is a pure function of results: of an experiment's first cycles, or of all cycles at a
rate that a search visited. Its file says what was decided, and is the mark that what it requests
may begin.
"""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from llm_energy.analysis.decision import Decision, decide
from llm_energy.analysis.derived_records import read_record
from llm_energy.campaign.campaign import Campaign
from llm_energy.campaign.campaign_file import AdaptiveCycles
from llm_energy.campaign.experiment import PlannedMeasurement
from llm_energy.results import layout
from llm_energy.results.result import ResultError, read_result
from llm_energy.stats.bisection import bisect
from llm_energy.workflow.rate_searches import bracket_of, requested_rates


def decision_path(adaptive: AdaptiveCycles, spec_hash: str) -> str:
    """Return where an experiment's decision lies, relative to the campaign's results folder."""
    return layout.decision_path(
        spec_hash,
        first=adaptive.first,
        target_relative_half_width=adaptive.target_relative_half_width,
    )


def first_cycles(campaign: Campaign) -> list[PlannedMeasurement]:
    """Return what is measured in any case, in planned order."""
    least = _least_cycles(campaign)
    return [p for p in campaign.schedule if p.cycle <= least[p.experiment.name]]


def _least_cycles(campaign: Campaign) -> dict[str, int]:
    """Cycles in which each experiment is measured in any case; of a search, its first rate."""
    first = campaign.adaptive.first if campaign.adaptive else campaign.cycles
    least = {experiment.name: first for experiment in campaign.experiments}
    for search in campaign.searches:
        begin = bisect(len(search.experiments), lambda _: None).next
        for index, name in enumerate(search.names):
            least[name] = first if index == begin else 0
    return least


def decided(
    campaign: Campaign, results: Path, *, elsewhere: Mapping[str, str] = {}
) -> dict[str, int]:
    """Cycles in all of each experiment whose first cycles are there and have decided; 0 for a rate
    that its search has not come to.

    Args:
        elsewhere: path of a file -> where it lies instead, both below `results`.

    Raises:
        ResultError: a decision cannot be read.
    """
    adaptive = campaign.adaptive
    if adaptive is None:
        cycles = {experiment.name: campaign.cycles for experiment in campaign.experiments}
        for search in campaign.searches:
            bracket = bracket_of(campaign, results, search, elsewhere=elsewhere)
            wanted = requested_rates(bracket)
            absent = (name for index, name in enumerate(search.names) if index not in wanted)
            cycles.update(dict.fromkeys(absent, 0))
        return cycles
    begun = {
        planned.experiment.name
        for planned in first_cycles(campaign)
        if not (results / elsewhere.get(path := planned.result_path, path)).exists()
    }
    paths = {
        e.name: results / elsewhere.get(path := decision_path(adaptive, e.spec_hash), path)
        for e in campaign.experiments
        if e.name not in begun
    }
    return {
        name: min(read_record(Decision, path).cycles, adaptive.maximum)
        for name, path in paths.items()
        if path.exists()
    }


def undecided(campaign: Campaign, results: Path) -> list[str]:
    """Experiments that may go on after their first cycles.

    Raises:
        ResultError: a decision cannot be read.
    """
    known = decided(campaign, results)
    return [e.name for e in campaign.experiments if e.name not in known]


def requested(campaign: Campaign, known: Mapping[str, int]) -> list[PlannedMeasurement]:
    """Return what is to be measured as far as it is decided (see `decided`), in planned order."""
    least = _least_cycles(campaign)
    return [
        planned
        for planned in campaign.schedule
        if planned.cycle <= max(least[name := planned.experiment.name], known.get(name, 0))
    ]


def may_follow(
    campaign: Campaign,
    results: Path,
    undecided: Iterable[str],
    *,
    needed: Iterable[PlannedMeasurement],
    again: bool = False,
) -> list[PlannedMeasurement]:
    """Return what the decisions of the experiments `undecided` may still request, in planned order.

    Exactly what they will, where no first cycle is measured any more; else up to the maximum. Of a
    search, every rate between the bounds that it has found.

    Args:
        needed: what is measured in any case.
        again: what follows is measured again where it is there.
    """
    changing = {planned.experiment.name for planned in needed}
    adaptive = campaign.adaptive
    names = set(undecided)
    if not names:
        return []
    if adaptive is None:
        within = _within_bounds(campaign, results, names, changing)
        return [
            planned
            for planned in campaign.schedule
            if planned.experiment.name in within
            and (again or not (results / planned.result_path).exists())
        ]
    first: dict[str, list[Path]] = {name: [] for name in names}
    for planned in first_cycles(campaign):
        if planned.experiment.name in names:
            first[planned.experiment.name].append(results / planned.result_path)
    most = dict.fromkeys(names, adaptive.maximum)
    for name, paths in first.items():
        if name not in changing:
            try:
                decision = decide(
                    [read_result(path) for path in paths], adaptive.target_relative_half_width
                )
            except ResultError:
                continue  # the job that decides says what is wrong
            most[name] = min(decision.cycles, adaptive.maximum)
    return [
        planned
        for planned in campaign.schedule
        if adaptive.first < planned.cycle <= most.get(planned.experiment.name, 0)
        and (again or not (results / planned.result_path).exists())
    ]


def most_that_follow(campaign: Campaign, results: Path) -> list[PlannedMeasurement]:
    """Return as many measurements as the searches may still request, of rates between the bounds
    that they have found; those without a result first.

    Raises:
        ResultError: a judgement cannot be read.
    """
    names = set[str]()
    for search in campaign.searches:
        bracket = bracket_of(campaign, results, search)
        if bracket.next is not None:
            free = {*range(bracket.low + 1, bracket.high)} - {bracket.next}
            first = {i: layout.result_path(search.experiments[i].spec_hash, 1) for i in free}
            there = {i: (results / path).exists() for i, path in first.items()}
            chosen = sorted(free, key=lambda i: (there[i], i))[: bracket.most - 1]
            names.update(search.names[index] for index in chosen)
    return [planned for planned in campaign.schedule if planned.experiment.name in names]


def _within_bounds(
    campaign: Campaign, results: Path, judged: Collection[str], changing: Collection[str]
) -> set[str]:
    """Experiments that the searches may still visit whose rates `judged` are judged now."""
    found = set[str]()
    for search in campaign.searches:
        if not set(judged).isdisjoint(search.names):
            bracket = bracket_of(campaign, results, search, changing=changing)
            found.update(search.names[bracket.low + 1 : bracket.high])
    return found - set(changing)
