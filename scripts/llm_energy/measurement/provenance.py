"""Records of what measurements were made with, kept beside them.

Each record is named by its content and written once: results of two builds of one backend each
find theirs. Nothing in a record says where on the machine a thing was. A results folder can then be
archived anywhere, also where no cache, engine or model is left.

    environment/{backend}-{packages}.txt   package list; its sha256 is the result's packages_sha256
    environment/{backend}-{content}.json   runtime, image digests, versions
    environment/model-{name}-{sha256}.json checksum of each file of a model
    environment/prompts-{name}-{sha256}.json  the token ids themselves
    environment/host-{session}.json        host and power meters of a session
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from llm_energy.inputs.checksums import write_marker
from llm_energy.inputs.environment import keep_package_list
from llm_energy.measurement.job import Job, Observation
from llm_energy.preflight.host_findings import read_host
from llm_energy.runs.run import Run
from llm_energy.system.cache import environment_marker, model_marker, prompts_marker, read_marker
from llm_energy.system.files import sha256_of

ENVIRONMENT = "environment"
"""Folder of these records, below the campaign's results folder."""

_OF_AN_ENVIRONMENT = (
    "kind",
    "device",
    "image",
    "repo_digest",
    "base",
    "base_image",
    "python_version",
    "engine_version",
    "environment_hash",
)


def keep_provenance(job: Job, seen: Observation, run: Run, results: Path) -> None:
    """Write what is not there yet of the records that a result refers to."""
    backend, experiment = job.backend, job.experiment
    packages = keep_package_list(seen.environment.packages, backend=backend, results=results)
    marker = read_marker(environment_marker(experiment.environment_id))
    environment = {key: marker[key] for key in _OF_AN_ENVIRONMENT if key in marker}
    environment |= {"backend": backend, "packages": packages.name}
    prompts = prompts_marker(experiment.prompts_id)
    records: dict[str, Callable[[], Mapping[str, Any]]] = {
        f"{backend}-{sha256_of(environment)[:12]}": lambda: environment,
        f"model-{experiment.model}-{seen.model.sha256[:12]}": lambda: _model(job, seen),
        f"prompts-{experiment.prompts}-{seen.prompts.sha256[:12]}": lambda: read_marker(prompts),
        f"host-{run.record.session_id}": lambda: _host(seen),
    }
    for name, content in records.items():
        path = results / ENVIRONMENT / f"{name}.json"
        if not path.exists():
            write_marker(path, content())


def _model(job: Job, seen: Observation) -> dict[str, Any]:
    files = read_marker(model_marker(job.experiment.model_id))["files"]
    return {
        "name": job.experiment.model,
        "format": seen.model.format,
        "identity": dict(seen.model.identity),
        "sha256": seen.model.sha256,
        "files": {
            name: {"sha256": file["sha256"], "size_bytes": file["size"]}
            for name, file in sorted(files.items())
        },
    }


def _host(seen: Observation) -> dict[str, Any]:
    """Describe the host and its meters, which stay as they are during a session."""
    host = read_host()
    return {
        "system": host.system,
        "kernel": host.kernel,
        "cpu": host.cpu,
        "cores": host.cores,
        "memory_bytes": host.memory_bytes,
        "governors": list(host.governors),
        "meters": [asdict(device) for device in seen.series.devices] if seen.series else [],
    }
