"""The GPUs of this host that a run has for itself from its start to its end."""

import sys
from collections.abc import Callable, Collection, Iterable
from contextlib import closing
from functools import partial

from llm_energy.campaign.campaign import Campaign
from llm_energy.measurement.device_exclusivity import computing
from llm_energy.power.gpu_driver import connect_gpus
from llm_energy.preflight.asking import ask_all
from llm_energy.preflight.gpus import Answer
from llm_energy.preflight.used_gpus import used_gpus
from llm_energy.system import locks
from llm_energy.system.processes import process_name


def gpus_of_run(campaign: Campaign, backends: Iterable[str], gpus: Answer) -> set[str]:
    """Return the GPUs, by UUID, that a run measures on; none on the CPU, or where none answers.

    Args:
        backends: those of its experiments.
        gpus: what the driver shows.
    """
    if not campaign.measurement.on_gpu or isinstance(gpus, Exception):
        return set()
    return {gpu.uuid for gpu in used_gpus(campaign, backends, gpus) if not gpu.lost}


def foreign_processes(uuids: Collection[str]) -> list[str]:
    """Return one line for each process that computes on GPUs before a run has started anything."""
    found = ask_all({"found": partial(_computing, uuids)})["found"] if uuids else {}
    return [
        f"{uuid}: {process_name(pid) or 'unknown'} ({pid}) computes there; end it, or its "
        "measurements fail (device_occupied)"
        for uuid, pids in (found.items() if isinstance(found, dict) else ())
        for pid in sorted(pids)
    ]


def _computing(uuids: Collection[str]) -> dict[str, set[int]]:
    with closing(connect_gpus(uuids)) as meter:
        return {gpu.id: computing(meter.read(gpu, slow=True)) for gpu in meter.devices}


def hold_gpus(
    uuids: Collection[str], *, note: Callable[[str], None] = lambda _waits_for: None
) -> list[int]:
    """Hold GPUs for a run, after the runs that have them, until the returned descriptors are
    closed.

    Args:
        note: takes what is waited for, and who uses it, beside the line on the console.

    Raises:
        PermissionError: a lock is no file that every user may open.
    """

    def blocked(uuid: str, holder: str) -> None:
        waits_for = f"{uuid}, used by the run of {holder}"
        print(f"Waiting for {waits_for}", file=sys.stderr, flush=True)
        note(waits_for)

    return locks.gpus_for_run(uuids, blocked=blocked)
