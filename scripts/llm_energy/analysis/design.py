"""The plan of a campaign, as the analysis of its results knows it."""

from collections.abc import Mapping

from llm_energy.campaign.analysis_settings import Assumptions
from llm_energy.campaign.arrival_settings import Objectives
from llm_energy.campaign.campaign_file import AdaptiveCycles
from llm_energy.campaign.contrasts import Contrast
from llm_energy.campaign.control_experiments import Control
from llm_energy.results.layout import place_of
from llm_energy.results.parts import Model


class Search(Model):
    """A search for the highest good rate of one configuration (`RateSearch`)."""

    name: str
    rates: tuple[float, ...]
    """All rates that it may visit, in ascending order, in requests per second."""
    experiments: tuple[str, ...]
    """The experiment of each."""


class Design(Model):
    """The plan of the campaign, which no single result knows (`Campaign.design`)."""

    name: str
    cycles: int
    adaptive: AdaptiveCycles | None = None
    """Where `cycles` are the most, and the first of them decided how many there are."""
    order: str
    seed: int
    isolation: str
    reference: str | None
    assumptions: Assumptions = Assumptions()
    slo: Objectives | None = None
    """Objectives of latency for experiments with load mode `open`."""
    contrasts: tuple[Contrast, ...] = ()
    """The comparisons along axes."""
    controls: tuple[Control, ...] = ()
    """Tests of the measuring itself, which are no part of any statement about experiments."""
    equivalence_margin: float = 0.02
    """Ratios within a factor of 1 + this of 1 count as no difference."""
    searches: tuple[Search, ...] = ()
    """Searches for the highest rate at which the objectives are kept."""
    names: Mapping[str, str] = {}
    """Hash of a spec -> name of the experiment in the campaign's file of today."""

    def name_at(self, path: str) -> str:
        """Return today's name of the experiment whose result lies at `path`, else its hash."""
        spec_hash = place_of(path).spec_hash
        return self.names.get(spec_hash, spec_hash)
