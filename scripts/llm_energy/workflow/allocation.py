"""Blocks of measurements in an allocation of their own, on a node of a cluster.

The workflow on the head submits all measurements of a cycle as one job of Slurm, and opens a run
that starts nothing. Each job opens a run of its own on its node before it measures, with backends
and a watchdog there, and ends it when the job ends. So the session of a result is its allocation:
whatever differs between nodes, or from one allocation to the next, is never inside a pair.

With `parallel` a job has as many cycles as its allocation has sets of GPUs, and its run is spread
over them as a run on one host is: then the session of a result is its set in its allocation.
"""

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from llm_energy.backends.running import (
    end_run,
    ensure_watchdog,
    reap_dead_runs,
    runtime_named,
)
from llm_energy.backends.runtime import SCRIPTS, BackendError, DeclaredBackend
from llm_energy.campaign.parallel_settings import Parallel
from llm_energy.preflight.amd_findings import no_container
from llm_energy.preflight.findings import problems
from llm_energy.preflight.gpu_sets import device_sets, set_findings
from llm_energy.preflight.gpus import Answer, are_amd, ask_gpus
from llm_energy.preflight.used_gpus import open_to
from llm_energy.runs.run import JOB_VARIABLE, Run
from llm_energy.runs.run_parts import create_part, set_runs
from llm_energy.runs.run_records import DeviceSet, Spread
from llm_energy.system.cache import environment_marker
from llm_energy.system.numbers import plural
from llm_energy.system.processes import ProcessId, wait_until_gone
from llm_energy.system.vocabulary import DOCKER
from llm_energy.workflow.device_guard import ForeignDeviceError, refuse_foreign_device
from llm_energy.workflow.gpu_holder import HOLDER, NotHeldError, hold_in_background
from llm_energy.workflow.parallel_sessions import open_sessions, start_backends

HOLDER_TIMEOUT_S = 5.0

GONE_S = 120.0
"""How long a cancelled job may take to end: Slurm's KillWait is 30 s by default."""


class AllocationError(Exception):
    """An allocation that cannot measure, or cannot be ended; the message is one line."""


class UnfitNodeError(Exception):
    """A node whose GPUs cannot be used as the campaign asks; the message is one line."""


def begin(owner: ProcessId) -> Run:
    """Open the run of this allocation on its node.

    Args:
        owner: the run ends with this process: the batch script.

    Raises:
        AllocationError: nothing may be measured here.
    """
    invocation, folder = Run.of_invocation(), Run.folder_of_allocation()
    if folder is None:
        raise AllocationError("this is no job that the workflow has submitted to Slurm")
    if invocation is None:
        raise AllocationError("the workflow that submitted this job has ended: nothing is measured")
    campaign = invocation.record.campaign
    declared = invocation.all_in("declared", DeclaredBackend)
    spread = invocation.read("spread", Spread)
    reap_dead_runs()
    try:
        gpus: Answer = ask_gpus() if spread.device == "gpu" else []
        _refuse_amd_in_containers(gpus, declared)
        for runtime in {each.runtime for each in declared.values()}:
            runtime_named(runtime).reap()
        sets = sets_of_allocation(spread, gpus)
        if not spread.new_device:
            schedule = invocation.read("schedule", tuple[str, ...])
            results = (invocation.results / path for path in schedule)
            own = [uuid for each in sets for uuid in each.devices]
            refuse_foreign_device(campaign, spread.device, results, gpus=gpus, only=own)
        job = os.environ[JOB_VARIABLE]
        run = create_part(invocation, f"job{job}", scripts=SCRIPTS, owner=owner, job=job)
        ensure_watchdog(run)
        hold_in_background(run, _own_gpus(sets, declared, gpus))
        parts = [run]
        if sets:
            parts = open_sessions(run, replace(spread, sets=sets), scripts=SCRIPTS)
        ready = [n for n, e in declared.items() if environment_marker(e.environment_id).exists()]
        start_backends(parts, ready)
    except (BackendError, ForeignDeviceError, NotHeldError, UnfitNodeError) as error:
        end()
        raise AllocationError(f"{campaign}: {error}") from error
    if Run.of_invocation() is None:  # then nobody else knows of this one
        end()
        raise AllocationError("the workflow that submitted this job has ended: nothing is measured")
    return run


def _refuse_amd_in_containers(gpus: Answer, declared: Mapping[str, DeclaredBackend]) -> None:
    """Refuse what the head, which may have no GPU or others, cannot know of its nodes.

    Raises:
        UnfitNodeError: a backend is a container, which gets no AMD GPU.
    """
    in_containers = [name for name, each in declared.items() if each.runtime == DOCKER]
    if in_containers and are_amd(gpus):
        raise UnfitNodeError(no_container(in_containers[0]))


def _own_gpus(
    sets: Sequence[DeviceSet], declared: Mapping[str, DeclaredBackend], gpus: Answer
) -> set[str]:
    """Return the GPUs, by UUID, that an allocation measures on, as a run on one host has them."""
    if sets or isinstance(gpus, Exception):
        return {uuid for each in sets for uuid in each.devices}
    of_backends = [each.container.gpus for each in declared.values()]
    named = [each if isinstance(each, tuple) else None for each in of_backends]
    return {gpu.uuid for gpu in open_to(named, gpus) if not gpu.lost}


def sets_of_allocation(spread: Spread, gpus: Answer) -> tuple[DeviceSet, ...]:
    """Return the sets of GPUs that this allocation is spread over; none where it is one itself.

    Args:
        gpus: what the driver of its node shows.

    Raises:
        UnfitNodeError: its GPUs cannot make as many sets as it has cycles at a time.
    """
    if spread.gpus_of_set is None:
        return ()
    if isinstance(gpus, Exception):
        raise UnfitNodeError(str(gpus))
    parallel = Parallel(devices_per_measurement=spread.gpus_of_set)
    for finding in problems(set_findings(parallel, gpus)):
        raise UnfitNodeError(finding.message)
    sets = device_sets(parallel, gpus)
    if len(sets) < spread.at_once:
        has = f"this allocation has {plural(sum(len(s.devices) for s in sets), 'GPU')}"
        wanted = spread.at_once * spread.gpus_of_set
        raise UnfitNodeError(f"{has}, `parallel` needs {wanted}: correct `gpu` under `resources`")
    return sets[: spread.at_once]


def end() -> None:
    """End the run of this allocation and all that it started; may be called any number of times."""
    folder = Run.folder_of_allocation()
    if folder is None:
        return
    run, holder = Run(folder), None
    with contextlib.suppress(ValueError):  # it ends with the run
        holder = run.find(HOLDER, ProcessId)
    end_run(run)
    if holder is not None and not wait_until_gone(holder, timeout_s=HOLDER_TIMEOUT_S):
        holder.end()


def cancel_orphans() -> Iterator[str]:
    """Cancel the jobs whose invocation is gone, and forget their runs; yields the jobs' ids.

    Jobs of it that have not begun yet find it gone and measure nothing.

    Raises:
        AllocationError: Slurm does not answer, or a job does not end.
    """
    for run in Run.all():
        try:
            record = run.record
        except ValueError:
            continue  # not a record of ours, or it ended while it was looked at
        job, invocation = record.job, record.invocation
        if job is None or invocation is None or run.folder.with_name(invocation).exists():
            continue
        _ask_slurm("scancel", job)
        deadline = time.monotonic() + GONE_S
        while _ask_slurm("squeue", "--noheader", "--jobs", job).strip():
            if time.monotonic() > deadline:
                raise AllocationError(
                    f"job {job} on {record.host_facts.host} does not end: scancel {job}"
                )
            time.sleep(0.5)
        for left in (*set_runs(run), run):  # it was killed before it could end its run
            if (left.folder / "run.json").exists():
                with contextlib.suppress(OSError):
                    left.publish(ended=None)  # nobody saw when
                left.remove()
        yield job


def _ask_slurm(*command: str) -> str:
    """Return the output of a command; nothing where Slurm does not know the job any more."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AllocationError(f"cannot ask Slurm for what a dead run left: {error}") from error
    if done.returncode and "Invalid job id" not in done.stderr:
        message = done.stderr.strip() or f"{command[0]} failed"
        raise AllocationError(f"cannot ask Slurm for what a dead run left: {message}")
    return done.stdout if done.returncode == 0 else ""
