"""Anchors: the reference measured again in a session that adds to a campaign without it.

What changed between two sessions (temperature, drivers, dust) is part of every ratio across them;
an anchor says how much that is. It is no cycle, and no part of the statistics of the reference.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property

from llm_energy.campaign.campaign import Campaign
from llm_energy.campaign.experiment import PlannedMeasurement
from llm_energy.results.layout import ANCHORS, result_path


@dataclass(frozen=True, eq=False)
class Anchor(PlannedMeasurement):
    """One more measurement of the reference; its `cycle` is its number, from 1."""

    @cached_property
    def result_path(self) -> str:
        return result_path(self.experiment.spec_hash, self.cycle, ANCHORS)


def anchors(
    campaign: Campaign,
    is_there: Callable[[str], bool],
    *,
    to_measure: Collection[PlannedMeasurement],
) -> list[Anchor]:
    """The anchors that there are, in order, and the one that measuring `to_measure` adds.

    It adds one if the reference has results, which are of earlier sessions, and is itself not
    measured.

    Args:
        is_there: tells whether the campaign's results folder has a file of this path.
    """
    if campaign.reference is None:
        return []
    reference = campaign.experiment(campaign.reference)
    found = [Anchor(experiment=reference, cycle=1, position=-1)]
    while is_there(found[-1].result_path):
        found.append(Anchor(experiment=reference, cycle=len(found) + 1, position=-1))
    measured = any(
        is_there(planned.result_path)
        for planned in campaign.schedule
        if planned.experiment is reference
    )
    alone = all(planned.experiment is not reference for planned in to_measure)
    return found if to_measure and measured and alone else found[:-1]
