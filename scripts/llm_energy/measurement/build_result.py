"""From what was observed to the result of a measurement."""

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from llm_energy.inputs.environment import packages_sha256
from llm_energy.measurement import flags, gpu_limits, served, window
from llm_energy.measurement.job import Job, Observation
from llm_energy.measurement.job_energy import energy_of, metered_gpus
from llm_energy.measurement.open_queue import idle_spans
from llm_energy.measurement.open_window import flags as open_flags
from llm_energy.measurement.open_window import open_load
from llm_energy.measurement.request_numbers import request_numbers
from llm_energy.measurement.steadiness import judged
from llm_energy.measurement.window_drift import with_power
from llm_energy.power.series_file import write_series
from llm_energy.results.layout import side_path
from llm_energy.results.open_load import Objectives
from llm_energy.results.parts import (
    Environment,
    Flag,
    ProcessState,
    PromptSet,
    SampleOutput,
    Settings,
    SideFile,
    Window,
)
from llm_energy.results.result import SCHEMA_VERSION, Result
from llm_energy.results.side_files import write_requests
from llm_energy.runs.run import Run, utc_now
from llm_energy.runs.run_records import RunRecord
from llm_energy.system.variables import shown
from llm_energy.system.vocabulary import PROCESS

WINDOW_FIELDS = (
    "window",
    "tokens",
    "output_tokens_per_second",
    "requests_per_second",
    "latency",
    "warmup",
    "drift",
    "open_load",
)
"""Fields of a result that are None where there was no window."""


def build_result(job: Job, seen: Observation, run: Run, results: Path) -> Result:
    """The result of one measurement; its side files are written, the result itself is not."""
    numbers = numbers_of(job, seen) if seen.measured else numbers_without_window(job, seen)
    result = Result(
        **identity_of(job, seen, run.record),
        **numbers,
        side_files=write_side_files(job, seen, results),
        finished=utc_now(),
    )
    if seen.measured is None:
        return result
    warmup = judged(result, seen.measured["requests"], seen.series)
    return result.model_copy(update={"warmup": warmup})


def identity_of(job: Job, seen: Observation, run: RunRecord) -> dict[str, Any]:
    """Return the fields that every outcome has."""
    loaded, experiment = seen.loaded or {}, job.experiment
    return {
        "schema_version": SCHEMA_VERSION,
        "protocol_version": experiment.protocol_version,
        "campaign": run.campaign,
        "experiment": experiment.name,
        "cycle": job.cycle,
        "position": job.position,
        "attempt": job.attempt,
        "started": seen.started,
        "spec_hash": experiment.spec_hash,
        "spec": experiment.spec,
        "settings": Settings(
            declared=experiment.declared,
            resolved=experiment.settings,
            observed=loaded.get("observed", {}),
        ),
        "prompts": PromptSet(
            name=experiment.prompts,
            sha256=seen.prompts.sha256,
            count=len(seen.prompts.token_ids),
            mean_input_tokens=seen.prompts.mean_input_tokens,
        ),
        "load_mode": experiment.workload.mode,
        "phases": seen.phases,
        "environment": environment(job, seen, run),
        "process": process_state(seen.peer, loaded) if loaded else None,
    }


def environment(job: Job, seen: Observation, run: RunRecord) -> Environment:
    """The machine, the engine and the code of a measurement."""
    host, ready = run.host_facts, seen.environment
    gpus = metered_gpus(job, seen)
    return Environment(
        session_id=run.session_id,
        run_id=run.run_id,
        host=host.host,
        cpu_model=host.cpu_model,
        kernel=host.kernel,
        device_model=gpus[0].model if gpus else host.cpu_model,
        device_uuids=[gpu.id for gpu in gpus],
        power_limit_watts=gpus[0].power_limit_watts if gpus else None,
        gpu_set=seen.gpus_set.get(gpus[0].id) if gpus else None,
        driver=str(gpus[0].facts["driver"]) if gpus and gpus[0].facts.get("driver") else None,
        power_modes=str(modes) if gpus and (modes := gpus[0].facts.get("power_modes")) else None,
        shares_host=run.shares_host,
        cpu_set=run.cpu_set,
        variables=shown(run.variables) if _inherits(job) else None,
        runtime=job.experiment.runtime,
        environment_hash=ready.environment_hash,
        image_digest=ready.image,
        container_engine=seen.container_engine,
        python_version=ready.python_version,
        engine_version=served.engine_version(job, seen),
        packages_sha256=packages_sha256(ready.packages),
        model_sha256=seen.model.sha256,
        code_digest=run.code_digest,
        git_commit=host.git_commit,
        git_dirty=host.git_dirty,
    )


def _inherits(job: Job) -> bool:
    """Return whether the engine got the user's environment: not in a container, not elsewhere."""
    return job.experiment.runtime == PROCESS and not job.experiment.engine.attached


def process_state(peer: Mapping[str, Any], loaded: Mapping[str, Any]) -> ProcessState:
    """Ages and job counts of supervisor and engine process before this measurement."""
    return ProcessState(
        engine_reused=loaded["reused"],
        engine_age_s=loaded["engine_age_s"],
        engine_jobs=loaded["engine_jobs"],
        supervisor_age_s=peer["age_s"],
        supervisor_jobs=peer["jobs"],
    )


def numbers_of(job: Job, seen: Observation) -> dict[str, Any]:
    """Return the fields of a window that was measured."""
    assert seen.measured is not None
    requests: Sequence[Mapping[str, Any]] = seen.measured["requests"]
    edges = seen.measured["window"]
    start, end = edges["start"], edges["end"]
    server, is_open = job.experiment.engine.server, seen.arrivals is not None
    found = request_numbers(
        requests,
        input_lengths=seen.input_lengths,
        start=start,
        end=end,
        waves=edges["waves"],
        passes=edges["passes"],
        is_open=is_open,
        in_chunks=server is not None,
        streamed=server is None or server.streams,
    )
    tokens, latency = found.tokens, found.latency
    idle = idle_spans(requests, (start, end)) if is_open else ()
    account = energy_of(job, seen, tokens, latency, idle)
    drift = with_power(found.drift, account)
    duration_s = end - start
    load, raised = None, list[Flag]()
    if seen.arrivals is not None:
        load = open_load(
            requests,
            (start, end),
            objectives=Objectives(**given) if (given := job.experiment.objectives) else None,
            joules=account.energy.energy_joules,
            idle_joules=account.parts_joules,
            is_server=server is not None,
        )
        raised = open_flags(load, latency, duration_s=duration_s, recipe=seen.arrivals)
    return {
        "status": "completed",
        "window": Window(
            start_monotonic_s=start,
            end_monotonic_s=end,
            start_wall=wall_time(start),
            end_wall=wall_time(end),
            duration_s=duration_s,
            waves=edges["waves"],
            passes=edges["passes"],
        ),
        "tokens": tokens,
        "output_tokens_per_second": tokens.output / duration_s,
        "requests_per_second": tokens.requests / duration_s,
        "latency": latency,
        "warmup": window.warmup(seen.measured["warmup"], power=seen.power),
        "drift": drift,
        "energy": account.energy,
        "open_load": load,
        "flags": raised
        + flags.of_measurement(
            drift=drift,
            duration_s=duration_s,
            minimum_duration_s=job.experiment.workload.minimum_duration_s,
        )
        + flags.of_gates(seen.thermal)
        + served.flags(job, seen, requests)
        + flags.of_container(seen.attached)
        + list(gpu_limits.flags_of(seen, account.energy))
        + account.flags,
        "sample_outputs": [SampleOutput(**sample) for sample in seen.measured["sample_outputs"]],
    }


def numbers_without_window(job: Job, seen: Observation) -> dict[str, Any]:
    """The fields of a measurement that ran out of memory: nothing was measured."""
    account = energy_of(job, seen, None, None)
    return {
        **dict.fromkeys(WINDOW_FIELDS),
        "status": "out_of_memory",
        "message": seen.out_of_memory,
        "energy": account.energy,
        "flags": flags.of_container(seen.attached) + account.flags,
        "sample_outputs": [],
    }


def write_side_files(job: Job, seen: Observation, results: Path) -> dict[str, SideFile]:
    """Write requests and power series beside the results: what is there of them."""
    files = {}
    if seen.measured is not None:
        files["requests"] = write_requests(
            results,
            side_path(job.result_path, "requests"),
            seen.measured["requests"],
            input_lengths=seen.input_lengths,
        )
    if seen.series is not None and seen.series.devices:
        files["series"] = write_series(
            results,
            side_path(job.result_path, "series"),
            seen.series,
            identity={
                "campaign": job.experiment.campaign,
                "experiment": job.experiment.name,
                "cycle": job.cycle,
                "spec": job.experiment.spec_hash,
            },
        )
    return files


def wall_time(monotonic_s: float) -> str:
    """ISO 8601, UTC, of a moment on CLOCK_MONOTONIC; from one reading of both clocks, now."""
    moment = time.time() - (time.monotonic() - monotonic_s)
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")
