"""The energy of a measuring job: of the devices that did its work."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from llm_energy.measurement import host_idle, served
from llm_energy.measurement.device_exclusivity import used_gpus
from llm_energy.measurement.job import Job, Observation
from llm_energy.power.accounting import EnergyAccount, account_energy, for_reason, unsampled
from llm_energy.power.meter import Device, Scope
from llm_energy.results.parts import Flag, Latency, Phase, Tokens


def metered_gpus(job: Job, seen: Observation) -> list[Device]:
    """The GPUs that did the work; none where the campaign says that the CPU does it.

    Where the driver does not list which GPUs the engine's processes use, all that it may use.
    """
    if job.experiment.device == "cpu" or seen.series is None:
        return []
    there = [device for device in seen.series.devices if device.is_gpu]
    used = used_gpus(seen.series, seen.own_processes)
    if job.experiment.engine.server is not None and job.experiment.engine.attached:
        used = set(job.experiment.engine.server.gpus)
    return [gpu for gpu in there if used is None or gpu.id in used]


def energy_of(
    job: Job,
    seen: Observation,
    tokens: Tokens | None,
    latency: Latency | None,
    parts: Sequence[tuple[float, float]] = (),
) -> EnergyAccount:
    """The energy of what did the work: an idle GPU beside a CPU engine is not it."""
    on_gpu = job.experiment.device == "gpu"
    gpus = metered_gpus(job, seen)
    scope: Scope = gpus[0].scope if gpus else "gpu_board" if on_gpu else "cpu_package"
    gaps = latency.inter_token_latency_s if latency else None
    unknown = served.reason_without_energy(job)
    account = account_energy(
        None if unknown else seen.series,
        seen.phases,
        tokens,
        scope=scope,
        gpus=[gpu.id for gpu in gpus] or None if on_gpu else None,
        method=seen.method,
        median_step_s=gaps.p50 if gaps else None,
        own_processes=seen.own_processes if on_gpu else None,
        parts=parts,
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
    detail = f"no process of the engine was listed on any GPU; counted: all {len(gpus)} it may use"
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
