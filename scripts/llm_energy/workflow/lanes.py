"""How Snakemake measures several blocks at once, and each block one measurement at a time.

Every block lies in one of several lanes. A lane is a resource of which there is one: a job takes
that of its block. The priority of jobs, which is the planned order, then keeps as many blocks open
as there are lanes, and measures the first ones first.
"""

from collections.abc import Callable, Iterable
from typing import Any

from llm_energy.campaign.campaign import Campaign
from llm_energy.workflow.snakemake_internals import SnakemakeInternals

LANE = "set_{}"
"""Name of the resource of a lane, by its number from 1."""


def most_at_once(campaign: Campaign, snakemake: SnakemakeInternals) -> int:
    """Return how many measurements the command and the campaign let run at once, however many
    blocks there are."""
    parallel = campaign.parallel
    if parallel is None or snakemake.spreads or snakemake.in_allocation:
        return 1
    size = parallel.devices_per_measurement
    lanes = min(snakemake.cores, snakemake.total("gpu") // size)
    if parallel.devices != "all":
        lanes = min(lanes, len(parallel.devices) // size)
    return max(1, lanes)


def lane_count(campaign: Campaign, snakemake: SnakemakeInternals) -> int:
    """Return the number of lanes: no more than there are blocks."""
    return min(most_at_once(campaign, snakemake), campaign.cycles)


def longest_lane_s(durations: Iterable[tuple[int, float]], lanes: int) -> float:
    """Return the time in s after which all lanes are done.

    Args:
        durations: (cycle, time in s) of each measurement.
    """
    lasts_s = [0.0] * lanes
    for cycle, duration_s in durations:
        lasts_s[lane_of(cycle, lanes)] += duration_s
    return max(lasts_s)


def lane_of(cycle: int, lanes: int) -> int:
    """Return the lane of a block, from 0; its set follows from the cycle alike (`Spread`)."""
    return (cycle - 1) % lanes


def lane_resources(lanes: int, snakemake: SnakemakeInternals) -> dict[str, Callable[[Any], int]]:
    """Return the resources of a measurement's lane, as functions of its wildcards; none for one."""
    if lanes == 1:
        return {}
    for lane in range(lanes):
        snakemake.limit(LANE.format(lane + 1), 1)
    return {LANE.format(lane + 1): _taken_by(lane, lanes) for lane in range(lanes)}


def _taken_by(lane: int, lanes: int) -> Callable[[Any], int]:
    def taken(wildcards: Any) -> int:
        return int(lane_of(int(wildcards.cycle), lanes) == lane)

    return taken
