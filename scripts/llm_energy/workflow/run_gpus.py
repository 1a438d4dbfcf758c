"""The GPUs of this host that a run has for itself from its start to its end."""

import sys
from collections.abc import Collection, Iterable, Sequence
from contextlib import closing
from functools import partial

from llm_energy.campaign.campaign import Campaign
from llm_energy.campaign.server_settings import Attach
from llm_energy.measurement.device_exclusivity import computing
from llm_energy.power.gpu_driver import connect_gpus
from llm_energy.preflight.asking import ask_all
from llm_energy.preflight.gpus import read_gpus
from llm_energy.runs.run_records import DeviceSet
from llm_energy.system import locks
from llm_energy.system.processes import process_name


def gpus_of_run(campaign: Campaign, backends: Iterable[str], sets: Sequence[DeviceSet]) -> set[str]:
    """Return the GPUs, by UUID, that a run measures on; none on the CPU, or where none answers.

    Args:
        backends: those of its experiments.
        sets: those that it measures on at once.
    """
    if not campaign.measurement.on_gpu:
        return set()
    if sets:
        return {uuid for each in sets for uuid in each.devices}
    gpus = ask_all({"gpus": read_gpus})["gpus"]  # a driver may never answer
    there = {gpu.uuid for gpu in gpus if not gpu.lost} if isinstance(gpus, list) else set[str]()
    named = [_named(campaign, backend) for backend in backends]
    return set[str]().union(*(there if each is None else there & each for each in named))


def _named(campaign: Campaign, backend: str) -> set[str] | None:
    """Return the GPUs that a backend gets by UUID; None where it may use any."""
    config = campaign.backends[backend]
    gpus = config.server.gpus if isinstance(config.server, Attach) else config.container.gpus
    return set(gpus) if isinstance(gpus, list) else None


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


def hold_gpus(uuids: Collection[str]) -> list[int]:
    """Hold GPUs for a run, after the runs that have them, until the returned descriptors are
    closed.

    Raises:
        PermissionError: a lock is no file that every user may open.
    """
    return locks.gpus_for_run(uuids, blocked=_announce)


def _announce(uuid: str, holder: str) -> None:
    print(f"Waiting for {uuid}, used by the run of {holder}", file=sys.stderr, flush=True)
