"""Sessions on several sets of GPUs of this host: each opened, with its backends, before a run
measures, as a part of the run, as each allocation of a cluster is."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from llm_energy.backends.running import ensure_backend, ensure_watchdog
from llm_energy.backends.runtime import DeclaredBackend
from llm_energy.campaign.campaign import Campaign
from llm_energy.preflight.gpu_sets import device_sets
from llm_energy.preflight.gpus import Answer, ask_gpus
from llm_energy.preflight.host_findings import read_host
from llm_energy.runs.concurrency import Concurrency
from llm_energy.runs.run import Run
from llm_energy.runs.run_parts import create_part, set_name
from llm_energy.runs.run_records import DeviceSet, Spread
from llm_energy.workflow.begun_blocks import Begun, sets_of_blocks
from llm_energy.workflow.lanes import planned_concurrency

START_BYTES = 50_000_000
"""Memory of the host that a starting backend has room for. A supervisor took 23 MB at most with
the interpreters of llama.cpp, OpenVINO, PyTorch and vLLM; the rest is for what runs a container
beside it, which was not measured. Engines load later, `loads_at_once` of them at a time."""


def sets_of_host(campaign: Campaign, gpus: Answer) -> tuple[DeviceSet, ...]:
    """Return the sets that a campaign measures on at once; none where it does not.

    That they can be made is checked by preflight's findings.
    """
    if campaign.parallel is None or isinstance(gpus, Exception):
        return ()
    return device_sets(campaign.parallel, gpus)


def concurrency_here(campaign: Campaign, lanes: int, *, allocations: int | None) -> Concurrency:
    """Return what is going to be measured at the same time, on the sets of this host if there is
    no cluster; arguments as of `planned_concurrency`."""
    here = campaign.parallel is not None and not allocations
    sets = sets_of_host(campaign, ask_gpus()) if here else ()
    return planned_concurrency(campaign, lanes, allocations=allocations, sets=sets)


def spread_over(
    sets: Sequence[DeviceSet], campaign: Campaign, begun: Mapping[int, Begun], *, at_once: int
) -> Spread:
    """Return how a run on this host is spread over sets of its GPUs.

    Args:
        begun: the blocks that earlier runs began, by cycle.
        at_once: measurements that run at the same time.
    """
    assert campaign.parallel is not None
    return Spread(
        device=campaign.measurement.device,
        new_device=True,
        sets=tuple(sets),
        begun=sets_of_blocks(begun, sets),
        at_once=max(1, min(at_once, len(sets))),
        loads_at_once=campaign.parallel.loads_at_once,
    )


def open_sessions(run: Run, spread: Spread, *, scripts: Path) -> list[Run]:
    """Open a run for each set, as a part of `run`, with its watchdog; they end with its owner."""
    run.write("spread", spread)
    parts = []
    for index, own in enumerate(spread.sets):
        part = create_part(
            run,
            set_name(index),
            scripts=scripts,
            owner=run.record.owner,
            device_set=own,
            shares_host=len(spread.sets) > 1,
        )
        for name, declared in run.all_in("declared", DeclaredBackend).items():
            part.write(f"declared/{name}", of_set(declared, own))
        ensure_watchdog(part)
        parts.append(part)
    return parts


def of_set(declared: DeclaredBackend, own: DeviceSet) -> DeclaredBackend:
    """Return a backend that gets the GPUs of a set, by UUID, and the CPUs near them."""
    container = replace(declared.container, gpus=own.devices)
    return replace(declared, container=container, cpu_set=own.cpus)


def start_backends(parts: Iterable[Run], names: Sequence[str]) -> None:
    """Start backends in runs, at most as many at a time as the host's memory has room for.

    Raises:
        BackendError: one does not start.
    """
    starts = [(part, name) for part in parts for name in names]
    room = max(1, read_host().available_bytes // START_BYTES)
    with ThreadPoolExecutor(max_workers=max(1, min(len(starts), room))) as pool:
        for started in [pool.submit(ensure_backend, *start) for start in starts]:
            started.result()
