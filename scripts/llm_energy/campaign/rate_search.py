"""Searches for the highest rate of arrivals at which a configuration keeps its objectives."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from llm_energy.campaign.campaign_file import AdaptiveCycles, CampaignConfig
from llm_energy.campaign.expand import experiment_name, searched_axis
from llm_energy.campaign.experiment import Experiment
from llm_energy.campaign.problems import Problems

RATE = "request_rate"


@dataclass(frozen=True, eq=False)
class RateSearch:
    """The experiments of a group that differ in their rate alone: a search visits some of them."""

    name: str
    """Name of its experiments without their rate."""
    experiments: tuple[Experiment, ...]
    """By ascending rate."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the experiments."""
        return tuple(experiment.name for experiment in self.experiments)

    @property
    def rates(self) -> tuple[float, ...]:
        """Rates of the experiments, in requests per second."""
        return tuple(float(experiment.factors[RATE]) for experiment in self.experiments)


def rate_searches(
    config: CampaignConfig, experiments: Sequence[Experiment]
) -> tuple[RateSearch, ...]:
    """Return the searches of a campaign, in declared order."""
    by_group: dict[str, list[Experiment]] = {}
    for experiment in experiments:
        by_group.setdefault(experiment.group, []).append(experiment)
    return tuple(
        search
        for name, group in config.experiments.items()
        if searched_axis(group) is not None
        for search in _of_group(name, by_group.get(name, []))
    )


def _of_group(name: str, experiments: Sequence[Experiment]) -> Iterator[RateSearch]:
    alike: dict[str, list[Experiment]] = {}
    for experiment in experiments:
        alike.setdefault(experiment_name(name, _others(experiment)), []).append(experiment)
    for common, own in alike.items():
        yield RateSearch(common, tuple(sorted(own, key=lambda e: float(e.factors[RATE]))))


def _others(experiment: Experiment) -> dict[str, Any]:
    return {key: value for key, value in experiment.factors.items() if key != RATE}


def check_searches(
    config: CampaignConfig,
    searches: Sequence[RateSearch],
    *,
    controlled: Experiment | None,
    problems: Problems,
) -> None:
    """Check that a search has objectives, and that nothing needs a rate that it may not visit.

    Args:
        controlled: the experiment that the campaign's controls are of; None without any.
    """
    if not searches:
        return
    lacks_slo = config.slo is None and not problems.below("slo")
    for name, group in config.experiments.items():
        if lacks_slo and searched_axis(group) is not None:
            message = "highest_good needs `slo`, the objectives that a good request keeps; add it"
            problems.add(("experiments", name, "axes", RATE), message)
    if isinstance(config.cycles, AdaptiveCycles):
        message = "must be one number where a highest good rate is searched; give one"
        problems.add(("cycles",), message)
    searched = {name for search in searches for name in search.names}
    if config.reference in searched:
        message = f"{config.reference} may not be measured: its rate is searched; name another"
        problems.add(("reference",), message)
    elif controlled is not None and controlled.name in searched:
        message = f"would be those of {controlled.name}, whose rate is searched; set `reference`"
        problems.add(("controls",), message)
