"""Check each GPU, and that there are enough of them for the campaign."""

import os
from collections.abc import Iterator, Sequence

from llm_energy.preflight.findings import Finding
from llm_energy.preflight.gpus import Gpu
from llm_energy.results.codes import ENERGY_REASONS
from llm_energy.system.numbers import gigabytes
from llm_energy.system.processes import process_name

SENSORS = {
    "energy_counter_joules": "energy counter",
    "instant_power_watts": "instant power",
    "average_power_watts": "average power",
}
"""Sources of energy, the preferred one first."""


def gpu_findings(gpus: Sequence[Gpu], *, used: bool) -> Iterator[Finding]:
    """Yield the findings about every GPU.

    Args:
        used: whether the campaign measures on GPUs; others are only named.
    """
    for gpu in gpus:
        if gpu.lost:
            message = f"{gpu.uuid}: {gpu.device.model}, cannot be used: {ENERGY_REASONS[gpu.lost]}"
            facts = {"uuid": gpu.uuid, "model": gpu.device.model, "reason": gpu.lost}
            yield Finding("problem" if used else "note", "gpu", message, facts)
        elif used:
            yield _described(gpu)
            yield from _modes(gpu)
            yield _clocks(gpu)
            yield from _processes(gpu)
            yield _sensors(gpu)
        else:
            message = f"{gpu.uuid}: {gpu.device.model}, not used (`measurement.device` is cpu)"
            yield Finding("note", "gpu", message, _facts(gpu))


def _facts(gpu: Gpu) -> dict[str, object]:
    state = gpu.reading.state
    return {
        "uuid": gpu.uuid,
        "model": gpu.device.model,
        "simulated": gpu.device.simulated,
        "memory_bytes": gpu.memory_bytes,
        "power_limit_watts": gpu.device.power_limit_watts,
        "default_power_limit_watts": gpu.default_limit_watts,
        "temperature_celsius": state and state.temperature_celsius,
        "sm_clock_mhz": state and state.sm_clock_mhz,
        "memory_clock_mhz": state and state.memory_clock_mhz,
        "memory_used_bytes": state and state.memory_used_bytes,
        **gpu.device.facts,
    }


def _described(gpu: Gpu) -> Finding:
    facts, state = gpu.device.facts, gpu.reading.state
    memory = None if gpu.memory_bytes is None else gigabytes(gpu.memory_bytes)
    temperature = state and state.temperature_celsius
    parts = [
        gpu.device.model,
        f"driver {_known(facts.get('driver'))}",
        f"memory {_known(memory)}",
        f"power limit {_known(gpu.device.power_limit_watts, ' W')}",
        f"ECC {_switch(facts.get('ecc'))}",
        f"temperature {_known(temperature, ' °C')}",
    ]
    return Finding("ok", "gpu", f"{gpu.uuid}: {', '.join(parts)}", _facts(gpu))


def _modes(gpu: Gpu) -> Iterator[Finding]:
    facts, uuid = gpu.device.facts, gpu.uuid
    if facts["persistence_mode"] is False:
        message = (
            f"{uuid}: persistence mode is off: the driver may unload and reset the GPU between "
            f"measurements; turn it on: sudo nvidia-smi -i {uuid} -pm 1"
        )
        yield Finding("warning", "gpu", message)
    elif facts["persistence_mode"] is None and not gpu.is_amd:
        yield Finding("unknown", "gpu", f"{uuid}: does not report its persistence mode")
    if gpu.device.refusal is not None:
        yield Finding("warning", "gpu", f"{uuid}: {ENERGY_REASONS[gpu.device.refusal]}")
    limit, default = gpu.device.power_limit_watts, gpu.default_limit_watts
    if limit is not None and default is not None and limit < default:
        message = f"{uuid}: the power limit {limit:g} W lies below the board's own, {default:g} W"
        yield Finding("note", "gpu", message)


def _clocks(gpu: Gpu) -> Finding:
    """NVML has no query for a lock; clocks of an idle GPU say nothing about it either."""
    state, facts = gpu.reading.state, gpu.device.facts
    now = None if state is None else state.sm_clock_mhz
    highest = facts["max_sm_clock_mhz"]
    message = f"{gpu.uuid}: SM clock {_known(now, ' MHz')} now, at most {_known(highest, ' MHz')}"
    if not gpu.is_amd:
        message += (
            f"; whether it is locked cannot be read (sudo nvidia-smi -i {gpu.uuid} -lgc MHZ "
            "locks it)"
        )
    return Finding("note", "gpu clock", message, {"sm_clock_mhz": now, "max_sm_clock_mhz": highest})


def _processes(gpu: Gpu) -> Iterator[Finding]:
    state = gpu.reading.state
    if state is None or state.process_ids is None:
        yield Finding(
            "unknown", "gpu", f"{gpu.uuid}: does not report which processes compute on it"
        )
        return
    for pid in sorted(set(state.process_ids)):
        name = process_name(pid)
        message = (
            f"{gpu.uuid}: process {pid} ({name or 'name unknown'}) computes on it, so that its "
            "energy would be counted; end it before you measure"
        )
        yield Finding("warning", "gpu", message, {"uuid": gpu.uuid, "pid": pid, "name": name})
    if gpu.is_amd and os.geteuid() != 0:
        message = f"{gpu.uuid}: AMD SMI shows processes of other users to root only"
        yield Finding("note", "gpu", message)


def _sensors(gpu: Gpu) -> Finding:
    missing = gpu.reading.unavailable
    readable = [
        name + _period(gpu.update_periods_s.get(quantity))
        for quantity, name in SENSORS.items()
        if quantity not in missing
    ]
    message = f"{gpu.uuid}: can be read: {', '.join(readable) or 'nothing'}"
    reasons = [f"{SENSORS[q]}: {code}" for q, code in missing.items() if q in SENSORS]
    if reasons:
        message += f"; not: {', '.join(reasons)}"
    facts = {
        "uuid": gpu.uuid,
        "readable": [name for quantity, name in SENSORS.items() if quantity not in missing],
        "unavailable": dict(missing),
        "update_periods_s": dict(gpu.update_periods_s),
    }
    uncounted = "energy_counter_joules" in missing
    if uncounted and "instant_power_watts" in missing:
        message += "; energy is taken from the counter or instant power, so that it would be empty"
    elif uncounted:
        message += "; a campaign begun here takes its energy from instant power"
    if gpu.device.simulated:
        message += "; THESE SENSORS ARE SIMULATED: never quote their numbers"
    bad = uncounted or gpu.device.simulated
    return Finding("warning" if bad else "ok", "gpu energy", message, facts)


def enough_findings(
    backend: str, wanted: object, parallel: int, gpus: Sequence[Gpu]
) -> Iterator[Finding]:
    """Yield a problem for each GPU that a backend needs and this machine lacks.

    Args:
        wanted: its `container.gpus`: a number or UUIDs; anything else means all.
        parallel: the most devices that one of its experiments shares its layers between.
    """
    there = [gpu.uuid for gpu in gpus if not gpu.lost]
    key, subject = f"backends.{backend}.container.gpus", f"gpus of {backend}"
    given = (
        wanted if isinstance(wanted, int) else len(wanted if isinstance(wanted, list) else there)
    )
    if given > len(there):
        message = f"{key} asks for {given} GPUs, this machine has {len(there)}; lower it"
        yield Finding("problem", subject, message)
    for uuid in wanted if isinstance(wanted, list) else []:
        if uuid not in there:
            message = f"{key}: this machine has no {uuid}, but {', '.join(there)}; correct it"
            yield Finding("problem", subject, message)
    if parallel > given:
        message = f"tensor_parallel {parallel} needs as many GPUs, {backend} gets {given}"
        yield Finding("problem", subject, f"{message}; lower it, or give it more")


def _period(update_period_s: float | None) -> str:
    return "" if update_period_s is None else f" (changes every {1e3 * update_period_s:.0f} ms)"


def _known(value: object, unit: str = "") -> str:
    if value is None:
        return "unknown"
    return f"{value:g}{unit}" if isinstance(value, float) else f"{value}{unit}"


def _switch(value: object) -> str:
    return "unknown" if value is None else "on" if value else "off"
