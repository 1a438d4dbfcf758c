"""The records that a run writes when it starts: its jobs need no configuration of their own."""

from collections.abc import Collection, Sequence
from pathlib import Path

from llm_energy.campaign.campaign import Campaign
from llm_energy.campaign.experiment import Experiment, PlannedMeasurement
from llm_energy.inputs.declared_backends import declare_backend
from llm_energy.measurement.job import ExperimentRecord
from llm_energy.runs.progress import note_duration
from llm_energy.runs.run import Run
from llm_energy.runs.run_parts import write_plan
from llm_energy.runs.run_records import PlanEntry
from llm_energy.workflow.decisions import decision_path
from llm_energy.workflow.plan import expected_duration_s, phases_s
from llm_energy.workflow.rate_searches import judgement_path


def enter_run(
    campaign: Campaign,
    ordered: Sequence[PlannedMeasurement],
    experiments: Collection[Experiment],
    *,
    results: Path,
    scripts: Path,
    undecided: Collection[PlannedMeasurement],
    cycles_of_allocation: int | None = None,
) -> Run:
    """A new run with its plan, its experiments and its backends.

    Args:
        ordered: what it may measure, in planned order.
        experiments: all whose engine its jobs may load.
        results: the folder that it adds to.
        undecided: those of `ordered` that a decision of this run may ask for.
        cycles_of_allocation: of a cluster; None where all is measured on this host.
    """
    run = Run.create(campaign=campaign.name, results=results, scripts=scripts)
    try:
        _describe(run, campaign, experiments, results=results)
        plan = _plan(campaign, ordered, undecided)
        write_plan(run, plan, cycles_of_allocation=cycles_of_allocation)
    except BaseException:  # a full disk
        run.remove()
        raise
    return run


def _describe(
    run: Run, campaign: Campaign, experiments: Collection[Experiment], *, results: Path
) -> None:
    for experiment in experiments:
        duration_s, source = expected_duration_s(experiment, campaign, results)
        if source == "results":
            note_duration(run, experiment=experiment.name, duration_s=duration_s)
        record = ExperimentRecord.of(campaign, experiment)
        run.write(f"experiments/{experiment.spec_hash}", record)
    for name in sorted({e.settings.backend for e in experiments}):
        run.write(f"declared/{name}", declare_backend(campaign, name, experiments))


def _plan(
    campaign: Campaign,
    ordered: Sequence[PlannedMeasurement],
    undecided: Collection[PlannedMeasurement],
) -> list[PlanEntry]:
    return [
        PlanEntry(
            experiment=planned.experiment.name,
            cycle=planned.cycle,
            position=planned.position,
            result=planned.result_path,
            expected_s=phases_s(campaign),
            decision=decision_of(campaign, planned) if planned in undecided else None,
            searched=planned in undecided and campaign.adaptive is None,
            alone=planned.experiment.alone,
        )
        for planned in ordered
    ]


def decision_of(campaign: Campaign, planned: PlannedMeasurement) -> str | None:
    """Where the decision on its experiment lies, relative to the results; None where nothing is
    decided by it."""
    name, spec_hash = planned.experiment.name, planned.experiment.spec_hash
    if any(name in search.names for search in campaign.searches):
        return judgement_path(campaign, spec_hash)
    return decision_path(campaign.adaptive, spec_hash) if campaign.adaptive else None
