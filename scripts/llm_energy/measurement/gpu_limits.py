"""Set the GPUs of a measurement before its engine is loaded, and check that they kept to it."""

import time
from collections.abc import Iterator

from llm_energy.backends.runtime import BackendError
from llm_energy.measurement.device_exclusivity import Metered
from llm_energy.measurement.job import Job, Observation
from llm_energy.power import gpu_control
from llm_energy.power.gpu_control import GpuControlError
from llm_energy.power.gpu_targets import GpuRange, GpuSetting, GpuTargetError
from llm_energy.results.energy import DeviceEnergy, Energy
from llm_energy.results.parts import Flag, GpuSet
from llm_energy.runs.run import Run

ENFORCED_S = 1.0
"""Time that a driver gets to enforce a new limit."""

CLOCK_STEP_MHZ = 30.0
"""Boards have clocks in steps of 15 MHz; a lock is taken at the next one below. Memory has few
clocks: a lock between them is taken at one that is further off, and flagged."""

LIMIT_STEP_WATTS = 0.5
"""Drivers may round a limit by this much."""


def set_gpus(job: Job, run: Run, working: Metered) -> dict[str, GpuSet]:
    """Set all GPUs as the experiment asks; those that an earlier one set are restored otherwise.

    Raises:
        BackendError: `gpu_not_set`, also where another living process has set one.
    """
    owner_pid, targets = run.record.owner.pid, job.experiment.gpu
    done: dict[str, GpuSet] = {}
    boards = run.whole.all_in("gpu_ranges", GpuRange) if targets else {}
    owned = {one.device: one for one in gpu_control.outstanding() if one.owner_lives}
    ours = {device for device, one in owned.items() if one.owner_pid == owner_pid}
    for _, gpu in working:
        try:
            if gpu.id in owned.keys() - ours:
                who = owned[gpu.id].owner
                raise GpuControlError(f"{gpu.id}: {who} has set its limits, and lives; end it")
            if targets is None:
                if gpu.id in ours:
                    gpu_control.restore_gpu(gpu.id, owner_pid=owner_pid)
                continue
            wanted = targets.on(boards.get(gpu.id, GpuRange()))
            found_watts = gpu_control.set_gpu(gpu.id, wanted, owner_pid=owner_pid)
        except (GpuControlError, GpuTargetError) as error:
            raise BackendError("gpu_not_set", str(error), phase="start") from error
        done[gpu.id] = _record(wanted, found_watts)
    if done or ours:
        time.sleep(ENFORCED_S)
    return done


def _record(wanted: GpuSetting, found_watts: float) -> GpuSet:
    sm, memory = wanted.sm_clock_mhz, wanted.memory_clock_mhz
    return GpuSet(
        power_limit_watts=wanted.power_limit_watts,
        sm_clock_mhz=sm and sm.greatest,
        memory_clock_mhz=memory and memory.greatest,
        least_sm_clock_mhz=sm.least if sm and sm.least < sm.greatest else None,
        least_memory_clock_mhz=memory.least if memory and memory.least < memory.greatest else None,
        found_power_limit_watts=found_watts,
    )


def flags_of(seen: Observation, energy: Energy) -> Iterator[Flag]:
    """Yield the flags of GPUs that did not work at what the campaign set."""
    for device in energy.devices:
        done = seen.gpus_set.get(device.device)
        if device.counted and done is not None:
            for message in _deviations(device, done):
                message = f"{device.device}: {message}"
                yield Flag(code="gpu_set_otherwise", message=message)


def _deviations(device: DeviceEnergy, done: GpuSet) -> Iterator[str]:
    state, limit = device.state, done.power_limit_watts
    if state is None:
        return
    for watts in dict.fromkeys((state.power_limit_min_watts, device.power_limit_watts)):
        if limit and watts and abs(watts - limit) > LIMIT_STEP_WATTS:
            yield f"{watts:g} W instead of {limit:g} W"
    capped = bool(state.throttle_reasons)
    for name, mean_mhz, least, greatest in (
        ("SM", state.sm_clock_mean_mhz, done.least_sm_clock_mhz, done.sm_clock_mhz),
        ("memory", state.memory_clock_mean_mhz, done.least_memory_clock_mhz, done.memory_clock_mhz),
    ):
        if mean_mhz is None or greatest is None:
            continue
        lowest = greatest if least is None else least
        below = mean_mhz < lowest - CLOCK_STEP_MHZ and not capped
        if below or mean_mhz > greatest + CLOCK_STEP_MHZ:
            locked = f"{greatest} MHz" if least is None else f"{least} to {greatest} MHz"
            yield f"mean {name} clock {mean_mhz:.0f} MHz, locked to {locked}"
