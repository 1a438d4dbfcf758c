"""The table of what a run is going to do, printed before it begins."""

from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath

from llm_energy.analysis.neighbours import FULL_SHARE
from llm_energy.campaign.campaign import Campaign
from llm_energy.campaign.experiment import PlannedMeasurement
from llm_energy.campaign.parallel_settings import Parallel
from llm_energy.runs.concurrency import Concurrency, Expected
from llm_energy.runs.run_records import DeviceSet
from llm_energy.system.numbers import plural
from llm_energy.workflow.anchors import Anchor
from llm_energy.workflow.plan import expected_duration_s
from llm_energy.workflow.plan_text import expected_text
from llm_energy.workflow.snakemake_internals import JobToRun

INPUTS = ("environment", "model", "convert", "prompts")
"""Rules whose jobs are named by what they make ready."""


def announcement(
    jobs: Sequence[JobToRun],
    needed: Sequence[PlannedMeasurement],
    *,
    campaign: Campaign,
    results: Path,
    concurrency: Concurrency,
) -> list[str]:
    """Return a table of the steps of a run with what each does; empty where it makes nothing.

    Args:
        needed: what is measured, anchors included.
        concurrency: what is measured at the same time.
    """
    rows = [(rule, _inputs(jobs, rule)) for rule in INPUTS]
    anchors = [planned for planned in needed if isinstance(planned, Anchor)]
    rows.append(("anchor", ", ".join(f"{a.experiment.name} once more" for a in anchors)))
    planned = [planned for planned in needed if not isinstance(planned, Anchor)]
    rows.append(("measure", _measurements(planned, campaign, results, concurrency)))
    after = "tables, figures, page" if any(job.rule == "report" for job in jobs) else ""
    rows.append(("report", after))
    steps = [(step, text) for step, text in rows if text]
    if not steps:
        return []
    width = max(len(step) for step, _ in steps)
    head = f"Campaign {campaign.name}, results in {results}:"
    return [head, *(f"  {step:{width}}  {text}" for step, text in steps)]


def _inputs(jobs: Iterable[JobToRun], rule: str) -> str:
    """Names of what the jobs of a rule make ready, without the hash of the folder's name."""
    folders = [PurePath(job.outputs[0]).parent.name for job in jobs if job.rule == rule]
    return ", ".join(sorted(folder.rpartition("-")[0] for folder in folders))


def sets_line(sets: Sequence[DeviceSet], *, at_once: int) -> str:
    """Describe the sets of GPUs that are measured on at once, and how to use each for one cycle."""
    gpus = sum(len(each.devices) for each in sets)
    line = f"Measuring on {plural(len(sets), 'set')} of GPUs, {min(at_once, len(sets))} at a time"
    remedy = f"--cores {len(sets)} --resources gpu={gpus}"
    if at_once < len(sets):
        line += f"; for all at once add: {remedy}"
    if at_once > len(sets):
        line += f"; {at_once} cycles take turns on them, for one on each at a time give: {remedy}"
    return line


def lone_neighbours(campaign: Campaign, sets: int, *, at_once: int) -> str:
    """Say that too few sets are at work at a time for the control `neighbours`; empty otherwise."""
    others = min(sets, campaign.cycles) - 1  # that have a cycle
    beside = min(at_once - 1, others)
    declared = any(control.kind == "neighbours" for control in campaign.controls)
    if not declared or (others and beside >= FULL_SHARE * others):
        return ""
    why = "no other set has a cycle"
    if others:
        why = f"{beside} of {plural(others, 'other set')} can be at work, and it takes half of them"
    return (
        f"controls.neighbours cannot be tested: beside its reference {why}; "
        "measure on more sets at a time, or remove the control"
    )


def allocations_line(parallel: Parallel, at_once: int) -> str:
    """Describe how each allocation of a cluster is spread over sets of its GPUs."""
    gpus = plural(parallel.devices_per_measurement, "GPU")
    return f"Measuring {plural(at_once, 'cycle')} in each allocation, each on a set of {gpus}"


def _measurements(
    needed: Sequence[PlannedMeasurement],
    campaign: Campaign,
    results: Path,
    concurrency: Concurrency,
) -> str:
    if not needed:
        return ""
    experiments = {planned.experiment.name: planned.experiment for planned in needed}
    known = {
        name: expected_duration_s(experiment, campaign, results)
        for name, experiment in experiments.items()
    }
    durations = [
        Expected(each.cycle, known[each.experiment.name][0], each.experiment.alone)
        for each in needed
    ]
    allocations = concurrency.used(planned.cycle for planned in needed)
    lasts_s, in_turn_s = concurrency.lasts_s(durations), concurrency.in_turn_s(durations)
    expected = expected_text(lasts_s, allocations=allocations, in_turn_s=in_turn_s)
    without = " without loading" if any(source == "phases" for _, source in known.values()) else ""
    cycles = sorted({planned.cycle for planned in needed})
    span = f"{cycles[0]} to {cycles[-1]}" if cycles[1:] else str(cycles[0])
    return (
        f"{plural(len(needed), 'measurement')} of {plural(len(experiments), 'experiment')}, "
        f"cycle {span}: about {expected}{without}"
    )
