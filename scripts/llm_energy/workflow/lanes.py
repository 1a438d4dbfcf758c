"""How Snakemake measures several blocks at once, and each block one measurement at a time.

Every block lies in one of several lanes. A lane is a resource of which there is one: a job takes
that of its block. The priority of jobs, which is the planned order, then keeps as many blocks open
as there are lanes, and measures the first ones first.

On a cluster as many blocks as there are lanes are one job of it, in an allocation that has one set
of GPUs for each. There the lanes are those of the allocation.
"""

from collections.abc import Callable, Sequence
from typing import Any

from llm_energy.campaign.campaign import Campaign
from llm_energy.runs.concurrency import Concurrency
from llm_energy.runs.run import Run
from llm_energy.runs.run_parts import lane_of
from llm_energy.runs.run_records import DeviceSet, Spread
from llm_energy.system.numbers import plural
from llm_energy.workflow.snakemake_internals import SnakemakeInternals

LANE = "set_{}"
"""Name of the resource of a lane, by its number from 1."""


def most_at_once(campaign: Campaign, snakemake: SnakemakeInternals) -> int:
    """Return how many measurements the command and the campaign let run at once, however many
    blocks there are; on a cluster, in each allocation."""
    if snakemake.in_allocation:  # where the head, which knows the profile, has entered it
        run = Run.of_invocation()
        spread = run.find("spread", Spread) if run else None
        return spread.at_once if spread else 1
    parallel = campaign.parallel
    if parallel is None:
        return 1
    size = parallel.devices_per_measurement
    lanes = snakemake.total("gpu") // size
    if snakemake.limits_cores:
        lanes = min(lanes, snakemake.cores)
    if parallel.devices != "all":
        lanes = min(lanes, len(parallel.devices) // size)
    return max(1, lanes)


def spread_refusal(campaign: Campaign, snakemake: SnakemakeInternals) -> str | None:
    """Return why allocations of a cluster cannot be spread over sets of their GPUs, in one line."""
    parallel = campaign.parallel
    if parallel is None:
        return None
    if parallel.devices != "all":
        return "`parallel.devices` names GPUs of one host: leave it out to spread cycles over nodes"
    size, gpus = parallel.devices_per_measurement, max(1, snakemake.total("gpu"))
    if gpus < size:
        return (
            f"an allocation of {plural(gpus, 'GPU')} cannot make a set of {size}: raise `gpu` "
            "under `resources` in the profile, or lower `parallel.devices_per_measurement`"
        )
    return None


def lane_count(campaign: Campaign, snakemake: SnakemakeInternals) -> int:
    """Return the number of lanes: no more than there are blocks."""
    return min(most_at_once(campaign, snakemake), campaign.cycles)


def planned_concurrency(
    campaign: Campaign, lanes: int, *, allocations: int | None, sets: Sequence[DeviceSet]
) -> Concurrency:
    """Return what is going to be measured at the same time.

    Args:
        allocations: of a cluster that there may be at the same time; None on one host.
        sets: of this host; none where they are not known.
    """
    if allocations is not None or not sets:
        return Concurrency(lanes, allocations=allocations)
    spread = Spread(campaign.measurement.device, new_device=True, sets=tuple(sets))
    return Concurrency(lanes, spread)


def lane_resources(lanes: int, snakemake: SnakemakeInternals) -> dict[str, Callable[[Any], int]]:
    """Return the resources of a measurement's lane, as functions of its wildcards; none for one,
    unless that is of an allocation."""
    if lanes == 1 and snakemake.allocations is None:
        return {}
    for lane in range(lanes):
        snakemake.limit(LANE.format(lane + 1), 1)
    return {LANE.format(lane + 1): _taken_by(lane, lanes) for lane in range(lanes)}


def _taken_by(lane: int, lanes: int) -> Callable[[Any], int]:
    def taken(wildcards: Any) -> int:
        return int(lane_of(int(wildcards.cycle), lanes) == lane)

    return taken


def gpu_resources(
    campaign: Campaign, lanes: int, snakemake: SnakemakeInternals
) -> dict[str, Callable[[Any], int] | str]:
    """Return the GPUs that a measurement takes of those that the command has.

    An allocation is requested with all of its GPUs, on one node (`gres` counts those of a node, as
    `gpu` does not); there, lanes say what may run at once.
    """
    parallel = campaign.parallel
    size = parallel.devices_per_measurement if parallel and lanes > 1 else 1

    def gpu(_wildcards: Any) -> int:
        return 0 if snakemake.spreads else size

    if snakemake.allocations is None or not campaign.measurement.on_gpu:
        return {"gpu": gpu}
    return {"gpu": gpu, "gres": f"gpu:{max(1, snakemake.total('gpu'))}"}


def block_group(lanes: int, snakemake: SnakemakeInternals) -> Callable[[Any], str] | None:
    """Return the function that names the job of a cluster that measures a block; None without."""
    if snakemake.allocations is None:
        return None

    def group(wildcards: Any) -> str:
        return snakemake.as_one_job("block", (int(wildcards.cycle) - 1) // lanes + 1)

    return group
