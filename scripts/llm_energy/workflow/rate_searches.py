"""How far the searches of a campaign are, by the judgements that stand in its results folder."""

from collections.abc import Collection, Mapping
from pathlib import Path

from llm_energy.analysis.derived_records import read_record
from llm_energy.analysis.judgement import Judgement
from llm_energy.campaign.campaign import Campaign
from llm_energy.campaign.experiment import Experiment
from llm_energy.campaign.identity import short_hash
from llm_energy.campaign.rate_search import RateSearch
from llm_energy.results import layout
from llm_energy.stats.bisection import Bracket, bisect
from llm_energy.system.numbers import plural


def judgement_path(campaign: Campaign, spec_hash: str) -> str:
    """Return where the judgement of a rate lies, relative to the campaign's results folder."""
    assert campaign.slo is not None
    objectives = short_hash(campaign.slo.in_seconds())
    return layout.judgement_path(spec_hash, cycles=campaign.cycles, objectives=objectives)


def standing(
    campaign: Campaign,
    results: Path,
    experiment: Experiment,
    *,
    elsewhere: Mapping[str, str] = {},
) -> bool | None:
    """Return whether a rate is good; None where it is not judged, or a result of it is gone.

    Args:
        elsewhere: path of a file -> where it lies instead, both below `results`.

    Raises:
        ResultError: a judgement cannot be read.
    """
    path = results / judgement_path(campaign, experiment.spec_hash)
    if not path.exists():
        return None
    cycles = range(1, campaign.cycles + 1)
    own = (layout.result_path(experiment.spec_hash, cycle) for cycle in cycles)
    if not all((results / elsewhere.get(name, name)).exists() for name in own):
        return None
    return read_record(Judgement, path).good


def bracket_of(
    campaign: Campaign,
    results: Path,
    search: RateSearch,
    *,
    elsewhere: Mapping[str, str] = {},
    changing: Collection[str] = (),
) -> Bracket:
    """Return how far a search is.

    Args:
        changing: names of experiments that are measured again: their judgements do not count.

    Raises:
        ResultError: a judgement cannot be read.
    """

    def good(index: int) -> bool | None:
        experiment = search.experiments[index]
        if experiment.name in changing:
            return None
        return standing(campaign, results, experiment, elsewhere=elsewhere)

    return bisect(len(search.experiments), good)


def requested_rates(bracket: Bracket) -> set[int]:
    """Return the points of a search that are visited, or to be visited next."""
    return {*bracket.visited, *([] if bracket.next is None else [bracket.next])}


def lines(campaign: Campaign, results: Path) -> list[str]:
    """Return one line for each search: how far it is."""
    return [
        f"Highest good rate of {search.name}: "
        f"{_standing(search, bracket_of(campaign, results, search))}"
        for search in campaign.searches
    ]


def _standing(search: RateSearch, bracket: Bracket) -> str:
    rates, count = search.rates, len(search.rates)
    if bracket.next is not None:
        low = f" at or above {rates[bracket.low]:g}" if bracket.low >= 0 else ""
        high = f" below {rates[bracket.high]:g}" if bracket.high < count else ""
        found = " and".join(filter(None, (low, high)))
        found = f"{found} requests/s" if found else " not known yet"
        more = plural(bracket.most, "rate")
        return f"{found.strip()}; next {rates[bracket.next]:g}, at most {more} more"
    if bracket.low < 0:
        return f"none, {rates[0]:g} requests/s is too much already"
    at_least = "at least " if bracket.high == count else ""
    return f"{at_least}{rates[bracket.low]:g} requests/s"
