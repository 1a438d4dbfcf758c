"""All known jobs of a campaign: from its results, its failure records and Snakemake's metadata."""

from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

from llm_energy.archive.jobs import KINDS, Image, Job
from llm_energy.archive.recorded import METADATA, recorded_jobs
from llm_energy.archive.reproduce import MADE
from llm_energy.campaign.campaign import Campaign
from llm_energy.measurement.provenance import ENVIRONMENT
from llm_energy.results.energy import Energy
from llm_energy.results.layout import failed_place, files, folders
from llm_energy.results.result import Result, ResultError, read_result
from llm_energy.system.cache import CACHE, environment_marker, model_marker, prompts_marker
from llm_energy.system.files import read_object

ENERGIES = ("energy_joules", "warmup_energy_joules", "load_energy_joules")
"""Keys of a result: energy of the window, of the warm-up before it, and of loading the engine."""

DERIVED = (*MADE, "decisions")
"""Files made from results, below a campaign's folder."""


def jobs_of(
    campaign: Campaign, results: Path, names: Collection[str], *, metadata: Path = METADATA
) -> list[Job]:
    """All known jobs that made an archive's files, in the order in which they began.

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
            markers = (
                environment_marker(experiment.environment.id),
                model_marker(experiment.model.id),
                prompts_marker(experiment.prompts.id),
            )
            for marker, record in zip(markers, records.names(result), strict=True):
                stands_for[str(marker)] = [record]
    for name in sorted(name for name in names if "/." not in name):
        for part in (name, *map(str, PurePosixPath(name).parents)):
            stands_for[part].append(name)
    derived = tuple(f"{top}/{name}" for name in DERIVED)
    targets = [
        path for path in stands_for if path.startswith(f"{CACHE}/") or path.startswith(derived)
    ]
    jobs += recorded_jobs(targets, lambda path: stands_for.get(path, ()), metadata=metadata)
    return sorted(jobs, key=lambda job: (job.started or "", job.name))


def read_results(results: Path) -> Iterator[tuple[str, Result]]:
    """Every result that the campaign ever had, with its path below `results`; of superseded ones
    those that can be read, for others were superseded because they cannot.

    Raises:
        ResultError: another result cannot be read.
    """
    for folder in folders(results):
        for path in files(folder, *KINDS):
            with suppress(*(() if folder == results else (ResultError,))):
                yield path.relative_to(results).as_posix(), read_result(path)


class Records:
    """The records in `environment/` of environments, models and prompts (see `provenance.py`)."""

    def __init__(self, results: Path, top: str) -> None:
        self.top = f"{top}/{ENVIRONMENT}"
        self._environments: dict[tuple[str, ...], tuple[str, dict[str, Any]]] = {}
        for path in files(results, "environment"):
            record = read_object(path)
            if {"backend", "environment_hash", "packages"} <= record.keys():
                key = (record["backend"], record["environment_hash"], record["packages"])
                self._environments[(*key, str(record.get("image")))] = (path.name, record)

    def environment(self, result: Result) -> tuple[str, dict[str, Any]]:
        """Name and content of the record of a result's environment; empty if there is none."""
        backend, used = result.settings.resolved["backend"], result.environment
        packages = f"{backend}-{used.packages_sha256[:12]}.txt"
        key = (backend, used.environment_hash, packages, str(used.image_digest))
        name, record = self._environments.get(key, ("", {}))
        return name and f"{self.top}/{name}", record

    def names(self, result: Result) -> tuple[str, str, str]:
        """Names of the records of its environment, its model and its prompts, present or not."""
        model, prompts = result.settings.resolved["model"], result.prompts
        return (
            self.environment(result)[0],
            f"{self.top}/model-{model}-{result.environment.model_sha256[:12]}.json",
            f"{self.top}/prompts-{prompts.name}-{prompts.sha256[:12]}.json",
        )

    def image(self, result: Result) -> Image | None:
        """The image of a result's container; None if it was measured in none."""
        digest = result.environment.image_digest
        if digest is None:
            return None
        record = self.environment(result)[1]
        return Image(
            digest,
            result.settings.resolved["backend"],
            record.get("repo_digest"),
            record.get("base_image") or record.get("base"),
        )


def measuring_job(path: str, result: Result, records: Records, *, top: str) -> Job:
    """The job that left a result.

    Args:
        path: of the result, below the campaign's results folder.
        top: that folder in the archive.
    """
    *folder, kind, spec_hash, name = path.split("/")
    outputs = [f"{kind}/{spec_hash}/{name}", *(file.path for file in result.side_files.values())]
    place = result.environment
    return Job(
        step=KINDS[kind],
        name=path.removesuffix(".json"),
        description=f"{result.experiment}, cycle {result.cycle}, attempt {result.attempt}, on "
        f"{place.host} ({place.device_model}): {result.status}. {_energy_text(result.energy)}",
        started=result.started,
        ended=result.finished,
        inputs=("campaign.yaml", *records.names(result)),
        outputs=tuple("/".join([top, *folder, file]) for file in outputs),
        image=records.image(result),
        energies_joules={
            key: value for key in ENERGIES if (value := getattr(result.energy, key)) is not None
        },
    )


def _energy_text(energy: Energy) -> str:
    if energy.energy_joules is None:
        return f"No energy: {energy.reason}."
    simulated = ", from a SIMULATED sensor" if energy.simulated else ""
    return f"Energy of {energy.scope} by {energy.method}{simulated}."


def failed_jobs(results: Path, *, top: str) -> Iterator[Job]:
    """A job for each attempt that failed, from its record."""
    for path in files(results, "failures"):
        record = read_object(path)
        name = path.relative_to(results).as_posix()
        spent = record.get("energy_spent", {})
        joules = spent.get("energy_joules")
        no_energy = "" if joules is not None else f" No energy: {spent.get('reason', 'no_record')}."
        yield Job(
            step=KINDS[failed_place(name)[0].kind],
            name=name.removesuffix(".json"),
            description=f"{record.get('experiment')}, cycle {record.get('cycle')}, attempt "
            f"{record.get('attempt')}: failed.{no_energy}",
            started=record.get("started"),
            ended=record.get("failed"),
            inputs=("campaign.yaml",),
            outputs=(f"{top}/{name}",),
            error=f"{record.get('reason')}: {record.get('message')}",
            energies_joules={} if joules is None else {"energy_joules": joules},
        )
