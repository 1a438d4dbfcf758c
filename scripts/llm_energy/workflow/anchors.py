"""Anchors: the reference measured again in a session that adds to a campaign without it.

What changed between two sessions (temperature, drivers, dust) is part of every ratio across them;
an anchor says how much that is. It is no cycle, and no part of the statistics of the reference.
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from llm_energy.campaign.campaign import Campaign
from llm_energy.campaign.experiment import PlannedMeasurement


@dataclass(frozen=True, eq=False)
class Anchor(PlannedMeasurement):
    """One more measurement of the reference; its `cycle` is its number, from 1."""

    @property
    def result_path(self) -> str:
        experiment = self.experiment
        return f"anchors/{experiment.name}/{experiment.spec_hash}/cycle-{self.cycle:02d}.json"


def anchors(
    campaign: Campaign, results: Path, *, to_measure: Collection[PlannedMeasurement]
) -> list[Anchor]:
    """The anchors that there are, in order, and the one that measuring `to_measure` adds.

    It adds one if the reference has results, which are of earlier sessions, and is itself not
    measured.
    """
    if campaign.reference is None:
        return []
    reference = campaign.experiment(campaign.reference)
    found = [Anchor(experiment=reference, cycle=1, position=-1)]
    while (results / found[-1].result_path).exists():
        found.append(Anchor(experiment=reference, cycle=len(found) + 1, position=-1))
    measured = any(
        (results / planned.result_path).exists()
        for planned in campaign.schedule
        if planned.experiment is reference
    )
    alone = all(planned.experiment is not reference for planned in to_measure)
    return found if to_measure and measured and alone else found[:-1]
