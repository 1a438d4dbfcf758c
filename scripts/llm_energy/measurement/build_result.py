"""From what was observed to the result of a measurement."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from llm_energy.inputs.environment import packages_sha256
from llm_energy.measurement import flags, host_idle, served, window
from llm_energy.measurement.device_exclusivity import used_gpus
from llm_energy.measurement.job import Job, Observation
from llm_energy.measurement.steadiness import judged
from llm_energy.measurement.window_drift import with_power
from llm_energy.power.accounting import EnergyAccount, account_energy, for_reason, unsampled
from llm_energy.power.meter import Device
from llm_energy.power.series_file import write_series
from llm_energy.results.layout import side_path
from llm_energy.results.parts import (
    Environment,
    Flag,
    Latency,
    Phase,
    ProcessState,
    PromptSet,
    SampleOutput,
    Settings,
    SideFile,
    Tokens,
    Window,
)
from llm_energy.results.result import SCHEMA_VERSION, Result
from llm_energy.results.side_files import write_requests
from llm_energy.runs.run import Run, utc_now
from llm_energy.runs.run_records import RunRecord

WINDOW_FIELDS = (
    "window",
    "tokens",
    "output_tokens_per_second",
    "requests_per_second",
    "latency",
    "warmup",
    "drift",
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
        driver=str(gpus[0].facts["driver"]) if gpus and gpus[0].facts.get("driver") else None,
        shares_host=run.shares_host,
        cpu_set=run.cpu_set,
        runtime=job.experiment.runtime,
        environment_hash=ready.environment_hash,
        image_digest=ready.image,
        python_version=ready.python_version,
        engine_version=served.engine_version(job, seen),
        packages_sha256=packages_sha256(ready.packages),
        model_sha256=seen.model.sha256,
        code_digest=run.code_digest,
        git_commit=host.git_commit,
        git_dirty=host.git_dirty,
    )


def metered_gpus(job: Job, seen: Observation) -> list[Device]:
    """The GPUs that did the work; none where the campaign says that the CPU does it.

    Where the driver does not list which GPUs the engine's processes use, all of the host.
    """
    if job.experiment.device == "cpu" or seen.series is None:
        return []
    boards = [device for device in seen.series.devices if device.scope == "gpu_board"]
    used = used_gpus(seen.series, seen.own_processes)
    if job.experiment.engine.server is not None and job.experiment.engine.attached:
        used = set(job.experiment.engine.server.gpus)
    return [gpu for gpu in boards if used is None or gpu.id in used]


def energy_of(
    job: Job, seen: Observation, tokens: Tokens | None, latency: Latency | None
) -> EnergyAccount:
    """The energy of what did the work: an idle GPU beside a CPU engine is not it."""
    on_gpu = job.experiment.device == "gpu"
    gpus = metered_gpus(job, seen)
    gaps = latency.inter_token_latency_s if latency else None
    unknown = served.reason_without_energy(job)
    account = account_energy(
        None if unknown else seen.series,
        seen.phases,
        tokens,
        scope="gpu_board" if on_gpu else "cpu_package",
        gpus=[gpu.id for gpu in gpus] or None if on_gpu else None,
        method=seen.method,
        median_step_s=gaps.p50 if gaps else None,
        own_processes=seen.own_processes if on_gpu else None,
    )
    if unknown:
        account = for_reason(account, unknown)
    if not job.experiment.sampled:
        account = replace(account, energy=unsampled(account.energy))
    account = replace(account, flags=account.flags + gpu_use_flags(job, gpus, seen))
    return with_host_idle(account, seen)


def gpu_use_flags(job: Job, gpus: Sequence[Device], seen: Observation) -> list[Flag]:
    """`gpu_use_unknown`, where GPUs are counted that the engine was not seen to use."""
    named = job.experiment.engine.attached
    if named or not gpus or seen.series is None or used_gpus(seen.series, seen.own_processes):
        return []
    detail = f"no process of the engine was listed on any GPU; counted: all {len(gpus)} of the host"
    return [Flag(code="gpu_use_unknown", message=detail)]


def energy_spent(job: Job, seen: Observation | None) -> dict[str, Any]:
    """Return the energy of a failed attempt, from its first reading to its last."""
    if seen is None or seen.series is None or not seen.series.readings:
        return {"energy_joules": None, "reason": "no_samples"}
    start_s, end_s = seen.series.covered()
    sampled = Phase(name="window", start_monotonic_s=start_s, end_monotonic_s=end_s)
    energy = energy_of(job, replace(seen, phases=[sampled]), None, None).energy
    known = energy.model_dump(include={"energy_joules", "reason", "scope", "method", "simulated"})
    return known | {"duration_s": end_s - start_s}


def with_host_idle(account: EnergyAccount, seen: Observation) -> EnergyAccount:
    """The account with the host's idle power of the devices that it counts."""
    counted = [device.device for device in account.energy.devices if device.counted]
    watts = host_idle.watts_of(seen.host_idle, counted)
    return replace(
        account,
        energy=account.energy.model_copy(update={"host_idle_power_watts": watts}),
        flags=account.flags + host_idle.flags(seen.host_idle, seen.first_host_idle, counted),
    )


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
    tokens = window.tokens(requests, input_lengths=seen.input_lengths, start=start, end=end)
    in_chunks = job.experiment.engine.server is not None
    latency = window.latency(requests, start=start, end=end, in_chunks=in_chunks)
    drift = window.drift(
        requests, start=start, end=end, waves=edges["waves"], passes=edges["passes"]
    )
    account = energy_of(job, seen, tokens, latency)
    drift = with_power(drift, account)
    duration_s = end - start
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
        "flags": flags.of_measurement(
            drift=drift,
            duration_s=duration_s,
            minimum_duration_s=job.experiment.workload.minimum_duration_s,
        )
        + flags.of_gates(seen.thermal)
        + served.flags(job, seen, requests)
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
        "flags": account.flags,
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
