"""All jobs that are known to have made an archive's files."""

from collections import defaultdict
from collections.abc import Collection
from pathlib import Path, PurePosixPath

from llm_energy.archive.jobs import Job
from llm_energy.archive.measured import Records, failed_jobs, measuring_job, read_results
from llm_energy.archive.recorded import METADATA, recorded_jobs
from llm_energy.archive.reproduce import MADE
from llm_energy.campaign.campaign import Campaign
from llm_energy.campaign.experiment import Experiment
from llm_energy.system.cache import CACHE, environment_marker, model_marker, prompts_marker

DERIVED = (*MADE, "decisions")
"""What is made of results, below a campaign's folder."""


def jobs_of(
    campaign: Campaign, results: Path, names: Collection[str], *, metadata: Path = METADATA
) -> list[Job]:
    """All jobs that are known to have made an archive's files, in the order in which they began.

    Args:
        results: `results/{campaign}`.
        names: of the files in the archive.
    """
    top = f"results/{campaign.name}"
    records, jobs = Records(results, top), list(failed_jobs(results, top=top))
    experiments = {each.spec_hash: each for each in campaign.experiments}
    stands_for: dict[str, list[str]] = defaultdict(list)
    for path, result in read_results(results):
        jobs.append(measuring_job(path, result, records, top=top))
        if experiment := experiments.pop(result.spec_hash, None):
            for marker, record in zip(_markers(experiment), records.of(result), strict=True):
                stands_for[marker] = [record]
    for name in sorted(name for name in names if "/." not in name):
        for part in (name, *map(str, PurePosixPath(name).parents)):
            stands_for[part].append(name)
    targets = [path for path in stands_for if _is_made(path, top)]
    jobs += recorded_jobs(targets, lambda path: stands_for.get(path, ()), metadata=metadata)
    return sorted(jobs, key=lambda job: (job.started or "", job.name))


def _markers(experiment: Experiment) -> tuple[str, str, str]:
    """The outputs of the jobs that an experiment's measurements waited for: see `Records.of`."""
    return (
        str(environment_marker(experiment.environment_id)),
        str(model_marker(experiment.model_id)),
        str(prompts_marker(experiment.prompts_id)),
    )


def _is_made(path: str, top: str) -> bool:
    """Whether a job may have made it that does not tell of itself."""
    below = path.removeprefix(f"{top}/")
    return path.startswith(f"{CACHE}/") or (below != path and below.split("/")[0] in DERIVED)
