"""The devices of a measurement, on which no other process may compute."""

import time
from collections.abc import Collection, Sequence

from llm_energy.backends.runtime import BackendError
from llm_energy.power.meter import Device, Meter, Reading
from llm_energy.power.sensor_probe import LOST
from llm_energy.power.series import Series
from llm_energy.runs.run_records import DeviceSet
from llm_energy.system.processes import process_name

LEFTOVERS_GONE_S = 10.0
"""How long a killed process may still be listed as computing."""

Metered = Sequence[tuple[Meter, Device]]
"""Devices, each with the meter that reads it."""


def working_devices(meters: Sequence[Meter], *, device: str, gpus: object) -> Metered:
    """The devices that may do the work, as far as they are metered: CPU packages, or GPUs.

    Args:
        device: `cpu` or `gpu`, as the campaign says.
        gpus: what its backend gets of them: `all`, a number, or a list of UUIDs. Only a list
            says which; otherwise it can be any of the host.
    """
    every = [(meter, each) for meter in meters for each in meter.devices]
    if device == "cpu":
        return [(m, d) for m, d in every if d.scope == "cpu_package"]
    found = [(m, d) for m, d in every if d.is_gpu]
    if isinstance(gpus, tuple):
        found = [(m, d) for m, d in found if d.id in gpus]
    return found


def refuse_lost(own: DeviceSet, working: Metered) -> None:
    """Before anything is started, the GPUs of a set must all be there.

    Raises:
        BackendError: `gpu_lost`.
    """
    there = {
        gpu.id
        for meter, gpu in working
        if not set(meter.read(gpu, slow=False).unavailable.values()) & set(LOST)
    }
    if lost := [uuid for uuid in own.devices if uuid not in there]:
        raise BackendError("gpu_lost", f"{', '.join(lost)}: cannot be read any more")


def lock_names(working: Metered, *, device: str) -> list[str]:
    """Return what no other measurement of the host may use meanwhile: `cpu`, or GPUs by UUID."""
    if device == "cpu":
        return ["cpu"]
    return [gpu.id for _, gpu in working] or ["gpu"]


def refuse_leftovers(gpus: Metered, own: Collection[int]) -> None:
    """Check that no process computes on an engine's GPUs before it starts, leftovers included.

    A process that was just killed may be listed for a moment longer, so it is given some time.

    Args:
        own: host ids of the backend's processes.

    Raises:
        BackendError: `device_occupied`, with the processes and their GPUs.
    """
    deadline = time.monotonic() + LEFTOVERS_GONE_S
    while found := [
        f"{process_name(pid) or 'unknown'} ({pid}) on {gpu.id}"
        for meter, gpu in gpus
        for pid in computing(meter.read(gpu, slow=True)) - set(own)
    ]:
        if time.monotonic() > deadline:
            message = f"other processes compute there: {', '.join(found)}; end them"
            raise BackendError("device_occupied", message)
        time.sleep(0.5)


def computing(reading: Reading) -> set[int]:
    """Processes with a compute context; none where the device lists none."""
    return set(reading.state.process_ids or ()) if reading.state else set()


def used_gpus(series: Series, own: Collection[int] | None) -> set[str] | None:
    """The GPUs that the backend's processes computed on; None where the driver lists none.

    Args:
        own: host ids of the backend's processes; None where they are not known.
    """
    if not own:
        return None
    mine = set(own)
    return {r.device for r in series.readings if computing(r) & mine} or None
