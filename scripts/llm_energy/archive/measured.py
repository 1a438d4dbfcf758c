"""The jobs that measured, and what they were given: told by results and failure records."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llm_energy.archive.jobs import Image, Job
from llm_energy.measurement.provenance import ENVIRONMENT
from llm_energy.results.energy import Energy
from llm_energy.results.result import Result, read_result

ENERGIES = ("energy_joules", "warmup_energy_joules", "load_energy_joules")
"""Of a result: in the measured window, in the warm-up before it, and while the engine loaded."""

KINDS = {"measurements": "measure", "anchors": "anchor"}
"""Folder of results -> the rule that makes them."""


def read_results(results: Path) -> Iterator[tuple[str, Result]]:
    """Every result that the campaign ever had, with its path below `results`.

    Raises:
        ResultError: one cannot be read.
    """
    for folder in (results, *sorted(results.glob("superseded/*"))):
        for kind in KINDS:
            for path in sorted(folder.glob(f"{kind}/*/*/*.json")):
                yield path.relative_to(results).as_posix(), read_result(path)


class Records:
    """What `environment/` keeps of what measurements were made with (see `provenance.py`)."""

    def __init__(self, results: Path, top: str) -> None:
        self.top = f"{top}/{ENVIRONMENT}"
        self._environments: dict[tuple[str, ...], tuple[str, dict[str, Any]]] = {}
        for path in sorted((results / ENVIRONMENT).glob("*.json")):
            record = json.loads(path.read_bytes())
            if isinstance(record, dict) and {"backend", "environment_hash"} <= record.keys():
                key = (record["backend"], record["environment_hash"], record["packages"])
                self._environments[(*key, str(record.get("image")))] = (path.name, record)

    def environment(self, result: Result) -> tuple[str, dict[str, Any]]:
        """Name and content of the record of a result's environment; empty if there is none."""
        backend, has = result.settings.resolved["backend"], result.environment
        packages = f"{backend}-{has.packages_sha256[:12]}.txt"
        key = (backend, has.environment_hash, packages, str(has.image_digest))
        name, record = self._environments.get(key, ("", {}))
        return name and f"{self.top}/{name}", record

    def of(self, result: Result) -> tuple[str, str, str]:
        """Names of the records of its environment, its model and its prompts, there or not."""
        model, prompts = result.settings.resolved["model"], result.prompts
        return (
            self.environment(result)[0],
            f"{self.top}/model-{model}-{result.environment.model_sha256[:12]}.json",
            f"{self.top}/prompts-{prompts.name}-{prompts.sha256[:12]}.json",
        )

    def image(self, result: Result) -> Image | None:
        """The image that a result was measured in; None where it was no container."""
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
    folder, kind = path.split("/")[:-4], path.split("/")[-4]
    sides = [file.path for file in result.side_files.values()]
    where = result.environment
    return Job(
        step=KINDS[kind],
        name=path.removesuffix(".json"),
        description=f"{result.experiment}, cycle {result.cycle}, attempt {result.attempt}, on "
        f"{where.host} ({where.device_model}): {result.status}. {_energy_told(result.energy)}",
        started=result.started,
        ended=result.finished,
        inputs=("campaign.yaml", *records.of(result)),
        outputs=tuple("/".join([top, *folder, name]) for name in [_below_its_folder(path), *sides]),
        image=records.image(result),
        energies_joules={
            key: value for key in ENERGIES if (value := getattr(result.energy, key)) is not None
        },
    )


def _below_its_folder(path: str) -> str:
    """`superseded/TIME/measurements/E/S/C.json` -> `measurements/E/S/C.json`."""
    return "/".join(path.split("/")[-4:])


def _energy_told(energy: Energy) -> str:
    if energy.energy_joules is None:
        return f"No energy: {energy.reason}."
    told = f"Energy of {energy.scope} by {energy.method}"
    return f"{told}, from a SIMULATED sensor." if energy.simulated else f"{told}."


def failed_jobs(results: Path, *, top: str) -> Iterator[Job]:
    """A job for each attempt that failed, from its record."""
    for path in sorted((results / "failures").rglob("*.json")):
        record = json.loads(path.read_bytes())
        name = path.relative_to(results).as_posix()
        spent = record.get("energy_spent", {})
        joules = spent.get("energy_joules")
        no_energy = "" if joules is not None else f" No energy: {spent.get('reason', 'no_record')}."
        yield Job(
            step="anchor" if name.startswith("failures/anchors/") else "measure",
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
