"""What a run writes down when it starts, so that its jobs need no configuration of their own."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from llm_energy.backends.running import declare_backend
from llm_energy.campaign.campaign import Campaign
from llm_energy.campaign.declared_inputs import PathSource
from llm_energy.campaign.experiment import Experiment, PlannedMeasurement
from llm_energy.runs.run import Run
from llm_energy.system.cache import CACHE
from llm_energy.system.host import describe_host
from llm_energy.workflow.decisions import decision_path
from llm_energy.workflow.plan import expected_duration_s


def enter_run(
    campaign: Campaign,
    ordered: Sequence[PlannedMeasurement],
    experiments: Mapping[str, Experiment],
    *,
    results: Path,
    scripts: Path,
    undecided: Collection[PlannedMeasurement],
) -> Run:
    """A new run with its plan, its experiments and its backends.

    Args:
        ordered: what it may measure, in planned order.
        experiments: by name, all whose engine its jobs may load.
        results: the folder that it adds to.
        undecided: those of `ordered` that a decision of this run may ask for.
    """
    run = Run.create(
        campaign=campaign.name,
        results=results,
        scripts=scripts,
        host_facts=describe_host(scripts.parent),
    )
    durations: dict[str, float] = {}
    for name, experiment in experiments.items():
        durations[name], _ = expected_duration_s(experiment, campaign, results)
        run.write(f"experiments/{name}", _job_facts(campaign, campaign.experiment(name)))
    for name in sorted({e.settings.backend for e in experiments.values()}):
        _declare(run, campaign, name, experiments.values())
    run.write(
        "plan",
        [
            {
                "experiment": planned.experiment.name,
                "cycle": planned.cycle,
                "position": planned.position,
                "result": planned.result_path,
                "expected_s": durations[planned.experiment.name],
                "decision": decision_of(campaign, planned) if planned in undecided else None,
            }
            for planned in ordered
        ],
    )
    return run


def decision_of(campaign: Campaign, planned: PlannedMeasurement) -> str | None:
    """Where the decision on its experiment lies, relative to the results; None where cycles
    are not decided."""
    if campaign.adaptive is None:
        return None
    experiment = planned.experiment
    return decision_path(
        campaign.adaptive, experiment=experiment.name, spec_hash=experiment.spec_hash
    )


def _job_facts(campaign: Campaign, experiment: Experiment) -> dict[str, Any]:
    """What the measuring jobs of an experiment are told."""
    settings = experiment.settings
    return {
        "campaign": campaign.name,
        "experiment": experiment.name,
        "isolation": campaign.isolation,
        "runtime": campaign.backends[settings.backend].runtime,
        "settings": settings.model_dump(mode="json"),
        "declared": dict(experiment.declared),
        "measurement": campaign.measurement.model_dump(mode="json"),
        "spec": dict(experiment.spec),
        "spec_hash": experiment.spec_hash,
        "engine_key": experiment.engine_key,
        "sampled": experiment.sampled,
        "slots": experiment.slots,
        "environment_id": experiment.environment_id,
        "model_id": experiment.model_id,
        "prompts_id": experiment.prompts_id,
    }


def _declare(run: Run, campaign: Campaign, backend: str, experiments: Iterable[Experiment]) -> None:
    config = campaign.backends[backend]
    own = [e for e in experiments if e.settings.backend == backend]
    container = config.container.model_dump(mode="json")
    if campaign.measurement.device == "gpu" and container["gpus"] is None:
        container["gpus"] = "all"
    models = (CACHE / "models").absolute()
    models.mkdir(parents=True, exist_ok=True)  # a container can mount only what is there
    local = {
        str(Path(source.path).absolute())
        for source in (e.model.config for e in own)
        if isinstance(source, PathSource)
    }
    declare_backend(
        run,
        backend,
        runtime=config.runtime,
        environment_id=own[0].environment_id,
        container=container,
        readable=[str(models), *sorted(local)],
    )
