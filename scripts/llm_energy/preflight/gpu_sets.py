"""The sets of GPUs of this machine that a campaign measures on at once, and why there are none."""

import os
from collections.abc import Iterator, Mapping, Sequence

from llm_energy.campaign.parallel_settings import Parallel
from llm_energy.preflight.findings import Finding
from llm_energy.preflight.gpus import Gpu, are_amd
from llm_energy.runs.run_records import DeviceSet
from llm_energy.system.numbers import plural

SUBJECT = "gpu sets"

VISIBLE = "CUDA_VISIBLE_DEVICES"
"""Environment variable that names the GPUs that a process may use, as Slurm sets it for a job."""


def visible(gpus: Sequence[Gpu]) -> list[Gpu]:
    """Return the GPUs that `CUDA_VISIBLE_DEVICES` leaves, in its order; all where it is not set.

    As CUDA does, it takes the beginning of a UUID for the one GPU that has it, and stops at the
    first entry that names none.
    """
    words = os.environ.get(VISIBLE)
    if words is None:
        return list(gpus)
    left = list[Gpu]()
    for word in (word.strip() for word in words.split(",")):
        own = [
            gpu
            for gpu in gpus
            if word == str(gpu.index) or (word.startswith("GPU-") and gpu.uuid.startswith(word))
        ]
        if len(own) != 1:
            break
        left += own
    return left


def device_sets(parallel: Parallel, gpus: Sequence[Gpu]) -> tuple[DeviceSet, ...]:
    """Return the sets of GPUs, in the order of the campaign's list, else of the driver's."""
    chosen, size = _chosen(parallel, gpus), parallel.devices_per_measurement
    parts = [chosen[start : start + size] for start in range(0, len(chosen), size)]
    return tuple(
        DeviceSet(tuple(gpu.uuid for gpu in part), _cpus(part))
        for part in parts
        if len(part) == size
    )


def in_sets(parallel: Parallel, gpus: Sequence[Gpu]) -> list[Gpu]:
    """Return the GPUs of all sets."""
    members = {uuid for each in device_sets(parallel, gpus) for uuid in each.devices}
    return [gpu for gpu in gpus if gpu.uuid in members]


def set_findings(parallel: Parallel, gpus: Sequence[Gpu]) -> Iterator[Finding]:
    """Yield a problem for each reason why the sets cannot be made, else what they are."""
    if are_amd(gpus):
        message = "parallel: sets are made of NVIDIA's GPUs only; remove `parallel`"
        yield Finding("problem", SUBJECT, message)
        return
    there = {gpu.uuid for gpu in visible(gpus) if not gpu.lost}
    listed = [] if parallel.devices == "all" else parallel.devices
    missing = [uuid for uuid in listed if uuid not in there]
    hidden = len(there) < len(gpus) and VISIBLE in os.environ
    why = f" ({VISIBLE} is `{os.environ[VISIBLE]}`)" if hidden else ""
    for uuid in missing:
        known = ", ".join(sorted(there)) or "none that can be used"
        message = f"parallel.devices: this machine has no {uuid}, but {known}{why}; correct it"
        yield Finding("problem", SUBJECT, message)
    split = [gpu for gpu in _chosen(parallel, gpus) if gpu.device.refusal]
    for gpu in split:
        message = (
            f"{gpu.uuid}: is split by MIG, and the energy of a slice is not known; turn MIG off "
            f"(sudo nvidia-smi -i {gpu.uuid} -mig 0), or leave it out of parallel.devices"
        )
        yield Finding("problem", SUBJECT, message)
    if missing or split:
        return
    size, sets = parallel.devices_per_measurement, device_sets(parallel, gpus)
    if not sets:
        message = f"{plural(len(there), 'GPU')} cannot make a set of {size}{why}"
        remedy = "lower parallel.devices_per_measurement"
        if hidden:
            remedy = (
                f"name more whole GPUs in it, or {remedy}" if there else "name whole GPUs in it"
            )
        yield Finding("problem", SUBJECT, f"{message}; {remedy}")
        return
    models = {gpu.uuid: gpu.device.model for gpu in in_sets(parallel, gpus)}
    if several := unlike(models):
        message = (
            f"the GPUs are of several models, whose results are never averaged ({several}); list "
            "those of one model in parallel.devices"
        )
        yield Finding("problem", SUBJECT, message)
        return
    over = len(_chosen(parallel, gpus)) % size
    unused = f"; {plural(over, 'GPU')} left over" if over else ""
    members = " | ".join(map(str, sets))
    yield Finding(
        "note",
        SUBJECT,
        f"{plural(len(sets), 'set')} of {plural(size, 'GPU')}: {members}{unused}",
        {"sets": [list(each.devices) for each in sets], "cpus": [each.cpus for each in sets]},
    )


def unlike(values: Mapping[str, str]) -> str:
    """Name the GPUs of each value; empty where all have the same."""
    by_value: dict[str, list[str]] = {}
    for uuid, value in values.items():
        by_value.setdefault(value, []).append(uuid)
    listed = (f"{value}: {', '.join(uuids)}" for value, uuids in by_value.items())
    return "; ".join(listed) if len(by_value) > 1 else ""


def _chosen(parallel: Parallel, gpus: Sequence[Gpu]) -> list[Gpu]:
    there = {gpu.uuid: gpu for gpu in visible(gpus) if not gpu.lost}
    wanted = there if parallel.devices == "all" else parallel.devices
    return [there[uuid] for uuid in wanted if uuid in there]


def _cpus(part: Sequence[Gpu]) -> tuple[int, ...] | None:
    """Return the CPUs near the GPUs of a set that this process may use; None where unknown."""
    known = [set(gpu.cpus) for gpu in part if gpu.cpus]
    near = set.union(*known) & os.sched_getaffinity(0) if len(known) == len(part) else set()
    return tuple(sorted(near)) or None
