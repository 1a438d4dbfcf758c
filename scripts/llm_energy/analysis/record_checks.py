"""Checks of one result against the records beside the results: of runs, environments and inputs."""

import contextlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from llm_energy.analysis.raw_data_checks import same
from llm_energy.inputs.checksums import file_sha256
from llm_energy.power.device_account import total
from llm_energy.results.layout import files
from llm_energy.results.result import Result
from llm_energy.system.files import DamagedError, read_object, sha256_of

OF_RUN = (
    *("run_id", "session_id", "code_digest"),
    *("host", "cpu_model", "kernel", "git_commit", "git_dirty", "shares_host", "cpu_set"),
)
"""Fields of an environment that the record of its run has too."""


@dataclass(frozen=True)
class Records:
    """The records of a campaign; a kind that it has none of is not compared."""

    runs: list[Mapping[str, Any]]
    environments: list[Mapping[str, Any]]
    packages: set[str]
    """SHA-256 of each package list."""
    models: set[tuple[str, str]]
    """Name and SHA-256."""
    prompts: Mapping[str, Mapping[str, Any]]
    """By the SHA-256 of their token ids."""

    @classmethod
    def read(cls, campaign_folder: Path) -> "Records":
        """Read every record that is whole."""
        beside = list(_read(campaign_folder, "environment"))
        return cls(
            runs=list(_read(campaign_folder, "runs")),
            environments=[record for record in beside if "environment_hash" in record],
            packages=set(_sha256_of_lists(campaign_folder)),
            models={
                (r["name"], str(r.get("sha256"))) for r in beside if {"name", "files"} <= r.keys()
            },
            prompts={sha256_of(r["token_ids"]): r for r in beside if "token_ids" in r},
        )


def record_differences(records: Records, result: Result) -> Iterator[str]:
    """Yield a sentence for each value that differs from the records of the campaign."""
    environment = result.environment
    for run in records.runs:
        if environment.run_id == run.get("run_id") or environment.session_id == run.get(
            "session_id"
        ):
            yield from _of_run(run, result)
    if records.environments and not any(_is_of(record, result) for record in records.environments):
        yield "its environment, engine version or image is in no record of an environment"
    if records.packages and environment.packages_sha256 not in records.packages:
        yield "its environment.packages_sha256 is that of no package list"
    model = (result.settings.resolved.get("model"), environment.model_sha256)
    if records.models and model not in records.models:
        yield "its model with its environment.model_sha256 is in no record of a model"
    if records.prompts:
        yield from _of_prompts(records.prompts.get(result.prompts.sha256), result)


def named_records(result: Result) -> dict[str, frozenset[str]]:
    """Return the records that a result refers to by their names, and the keys that each must have:
    those of `measurement.provenance`, and of the run."""
    environment, resolved = result.environment, result.settings.resolved
    backend, model = resolved.get("backend"), resolved.get("model")
    prompts = f"{result.prompts.name}-{result.prompts.sha256[:12]}"
    named = {
        f"runs/{environment.run_id}.json": {"run_id", "session_id", "started", "events"},
        f"environment/{backend}-{environment.packages_sha256[:12]}.txt": set[str](),
        f"environment/model-{model}-{environment.model_sha256[:12]}.json": {"sha256", "files"},
        f"environment/prompts-{prompts}.json": {"token_ids"},
        f"environment/host-{environment.session_id}.json": {"system", "meters"},
    }
    return {name: frozenset(keys) for name, keys in named.items()}


def record_problem(path: Path, keys: Collection[str]) -> str | None:
    """Return what is wrong with a record that results refer to; None where nothing is.

    Args:
        keys: that must be in it; none for a package list, which is empty where there is no package.
    """
    if not path.is_file():
        return "is not there"
    if not keys:
        named = path.stem.rpartition("-")[2]
        try:
            found = file_sha256(path)
        except OSError as error:
            return f"is not readable: {error.strerror}"
        return None if found.startswith(named) else "has not the SHA-256 of its name"
    if path.stat().st_size == 0:
        return "is empty"
    try:
        record = read_object(path)
    except (OSError, DamagedError):
        return None  # reported where every record is read
    lacking = sorted(set(keys) - set(record))
    return f"lacks {', '.join(lacking)}" if lacking else None


def _sha256_of_lists(folder: Path) -> Iterator[str]:
    for path in files(folder, "packages"):
        if path.is_file():
            with contextlib.suppress(OSError):
                yield file_sha256(path)


def _read(folder: Path, kind: str) -> Iterator[dict[str, Any]]:
    for path in files(folder, kind):
        # A damaged one is reported where it is checked.
        with contextlib.suppress(OSError, DamagedError):
            yield read_object(path)


def _of_run(run: Mapping[str, Any], result: Result) -> Iterator[str]:
    environment = result.environment.model_dump()
    stated = {"campaign": result.campaign} | {name: environment[name] for name in OF_RUN}
    recorded = {**run, **run.get("host_facts", {})}
    if environment["variables"] is not None:
        stated["variables"] = environment["variables"]
    for name, value in stated.items():
        if name in recorded and recorded[name] != value:
            yield f"its {name} is {value}, the record of its run has {recorded[name]}"
    on_cpu = result.spec.get("measurement", {}).get("device") == "cpu"
    if on_cpu and environment["device_model"] != recorded.get("cpu_model"):
        yield "its device_model is not the CPU of the record of its run"
    with contextlib.suppress(KeyError, ValueError, TypeError):
        if datetime.fromisoformat(result.started) < datetime.fromisoformat(run["started"]):
            yield "it started before its run"
    own = run.get("device_uuids")
    if own is not None and not set(environment["device_uuids"]) <= set(own):
        yield f"its device_uuids are not of the set of its run, {', '.join(own)}"
    idle = run.get("host_idle", {}).get(f"cycle-{result.cycle}")
    watts = result.energy.host_idle_power_watts
    if idle and watts is not None:
        counted = [device.device for device in result.energy.devices if device.counted]
        if not same(total(map(idle["watts"].get, counted)), watts):
            yield "its energy.host_idle_power_watts is not that of the record of its run"


def _is_of(record: Mapping[str, Any], result: Result) -> bool:
    environment = result.environment
    stated = (environment.environment_hash, environment.image_digest, environment.python_version)
    recorded = (record["environment_hash"], record.get("image"), record.get("python_version"))
    # A server reports its own version, which its environment cannot tell.
    same_engine = result.of_server or environment.engine_version == record.get("engine_version")
    return stated == recorded and same_engine


def _of_prompts(record: Mapping[str, Any] | None, result: Result) -> Iterator[str]:
    if record is None:
        yield "its prompts.sha256 is that of no record of prompts"
        return
    lengths = [len(ids) for ids in record["token_ids"]]
    if result.prompts.count != len(lengths):
        yield f"its prompts.count is {result.prompts.count}, their record has {len(lengths)}"
    if not same(result.prompts.mean_input_tokens, sum(lengths) / len(lengths)):
        yield "its prompts.mean_input_tokens is not the mean of the record of its prompts"
