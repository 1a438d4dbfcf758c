"""Set the GPUs of a measurement before its engine is loaded, and check that they kept to it."""

import time
from collections.abc import Iterator

from llm_energy.backends.runtime import BackendError
from llm_energy.measurement.device_exclusivity import Metered
from llm_energy.measurement.job import Job, Observation
from llm_energy.power import gpu_control
from llm_energy.power.gpu_control import GpuControlError
from llm_energy.power.gpu_targets import GpuRange, GpuTargetError
from llm_energy.results.energy import Energy
from llm_energy.results.parts import Flag, GpuSet
from llm_energy.runs.run import Run

ENFORCED_S = 1.0
"""Time that a driver gets to enforce a new limit."""

CLOCK_STEP_MHZ = 30.0
"""Boards have clocks in steps of 15 MHz, memory of more; a lock is taken at the next one below."""


def set_gpus(job: Job, run: Run, working: Metered) -> GpuSet | None:
    """Set all GPUs as the experiment asks; those that an earlier one set are restored otherwise.

    Raises:
        BackendError: `gpu_not_set`.
    """
    owner_pid, targets = run.record.owner.pid, job.experiment.gpu
    done = None
    boards = run.whole.all_in("gpu_ranges", GpuRange) if targets else {}
    ours = {one.device for one in gpu_control.outstanding() if one.owner_pid == owner_pid}
    for _, gpu in working:
        try:
            if targets is None:
                if gpu.id in ours:
                    gpu_control.restore_gpu(gpu.id, owner_pid=owner_pid)
                continue
            wanted = targets.on(boards.get(gpu.id, GpuRange()))
            found_watts = gpu_control.set_gpu(gpu.id, wanted, owner_pid=owner_pid)
        except (GpuControlError, GpuTargetError) as error:
            raise BackendError("gpu_not_set", str(error), phase="start") from error
        if done is None:
            done = GpuSet(
                power_limit_watts=wanted.power_limit_watts,
                sm_clock_mhz=wanted.sm_clock_mhz,
                memory_clock_mhz=wanted.memory_clock_mhz,
                found_power_limit_watts=found_watts,
            )
    if done is not None or ours:
        time.sleep(ENFORCED_S)
    return done


def flags_of(seen: Observation, energy: Energy) -> Iterator[Flag]:
    """Yield the flags of GPUs that did not work at what the campaign set."""
    done = seen.gpu_set
    if done is None:
        return
    for device in energy.devices:
        if not device.counted or device.scope != "gpu_board":
            continue
        limit, state = device.power_limit_watts, device.state
        if done.power_limit_watts and limit and abs(limit - done.power_limit_watts) > 0.5:
            message = f"{device.device}: {limit:g} W instead of {done.power_limit_watts:g} W"
            yield Flag(code="gpu_set_otherwise", message=message)
        clock = None if state is None else state.sm_clock_mean_mhz
        if done.sm_clock_mhz is None or clock is None:
            continue
        capped = state is not None and bool(state.throttle_reasons)
        off_mhz = clock - done.sm_clock_mhz
        if off_mhz > CLOCK_STEP_MHZ or (off_mhz < -CLOCK_STEP_MHZ and not capped):
            message = f"{device.device}: mean SM clock {clock:.0f} MHz, locked to "
            yield Flag(code="gpu_set_otherwise", message=f"{message}{done.sm_clock_mhz} MHz")
