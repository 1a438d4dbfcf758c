"""Cycles in two stages: what the first cycles of each experiment decided, and what that requests.

A decision is a pure function of the results of an experiment's first cycles; its file says what
was decided and is the mark that its second stage may begin.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from llm_energy.analysis.decision import decide, read_decision
from llm_energy.campaign.campaign import Campaign
from llm_energy.campaign.campaign_file import AdaptiveCycles
from llm_energy.campaign.experiment import PlannedMeasurement
from llm_energy.results import layout
from llm_energy.results.result import ResultError, read_result


def decision_path(adaptive: AdaptiveCycles, spec_hash: str) -> str:
    """Return where an experiment's decision lies, relative to the campaign's results folder."""
    return layout.decision_path(
        spec_hash,
        first=adaptive.first,
        target_relative_half_width=adaptive.target_relative_half_width,
    )


def first_cycles(campaign: Campaign) -> list[PlannedMeasurement]:
    """Return what is measured in any case, in planned order."""
    first = campaign.adaptive.first if campaign.adaptive else campaign.cycles
    return [planned for planned in campaign.schedule if planned.cycle <= first]


def decided(
    campaign: Campaign, results: Path, *, elsewhere: Mapping[str, str] = {}
) -> dict[str, int]:
    """Cycles in all of each experiment whose first cycles are there and have decided.

    Args:
        elsewhere: path of a file -> where it lies instead, both below `results`.

    Raises:
        ResultError: a decision cannot be read.
    """
    adaptive = campaign.adaptive
    if adaptive is None:
        return {experiment.name: campaign.cycles for experiment in campaign.experiments}
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
        name: min(read_decision(path).cycles, adaptive.maximum)
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
    first = campaign.adaptive.first if campaign.adaptive else campaign.cycles
    return [
        planned
        for planned in campaign.schedule
        if planned.cycle <= max(first, known.get(planned.experiment.name, 0))
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

    Exactly what they will, where no first cycle is measured any more; else up to the maximum.

    Args:
        needed: what is measured in any case.
        again: what follows is measured again where it is there.
    """
    changing = {planned.experiment.name for planned in needed}
    adaptive = campaign.adaptive
    names = set(undecided)
    if adaptive is None or not names:
        return []
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
