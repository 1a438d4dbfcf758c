"""Runs that are parts of another one, which measures nothing itself.

Each block (cycle) of a campaign lies in one part. Parts are the allocations of a cluster, or the
sets of devices of one host that are measured on at the same time. Each is a session of its own,
with backends, watchdog, locks and thermal state.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from llm_energy.runs.run import Run, folder_for_sockets, utc_now
from llm_energy.runs.run_records import DeviceSet, GivenUp, PlanEntry, Spread
from llm_energy.system import locks
from llm_energy.system.host import describe_host
from llm_energy.system.processes import ProcessId
from llm_energy.system.variables import decisive

GIVEN_UP = "given_up"
"""Folder of the records of sets that are given up, by the id of their run."""


def create_part(
    whole: Run,
    name: str,
    *,
    scripts: Path,
    owner: ProcessId | None = None,
    job: str | None = None,
    device_set: DeviceSet | None = None,
    shares_host: bool = False,
) -> Run:
    """Enter a run that measures a part of another one, with its code and its backends.

    Args:
        name: of the part; see `Run.part`.
        owner: the process that it ends with; None: this one.
        job: Slurm's id of the allocation that it is.
        device_set: the share of the host's GPUs that it has; None: all.
        shares_host: True where other parts measure on this host at the same time.
    """
    record, run = whole.record, whole.part(name)
    host, code = describe_host(scripts.parent), record.host_facts
    run.entered(
        replace(
            record,
            run_id=run.run_id,
            host_facts=replace(host, git_commit=code.git_commit, git_dirty=code.git_dirty),
            owner=owner or ProcessId.current(),
            started=utc_now(),
            sockets=folder_for_sockets(),
            invocation=whole.run_id,
            job=job or record.job,
            device_set=device_set,
            shares_host=shares_host,
            variables=decisive(os.environ),
        )
    )
    shutil.copytree(whole.folder / "declared", run.folder / "declared", dirs_exist_ok=True)
    return run


def set_run(whole: Run, index: int) -> Run:
    """Return the run of a set, by its index from 0."""
    return whole.part(set_name(index))


def set_name(index: int) -> str:
    """Name the part that a set is."""
    return f"set{index + 1}"


def set_runs(whole: Run) -> list[Run]:
    """Return the runs of all sets of a run, in their order; none where it has no sets."""
    spread = whole.find("spread", Spread)
    return [set_run(whole, index) for index in range(len(spread.sets))] if spread else []


def run_of_block(whole: Run, cycle: int) -> Run | None:
    """Return the run that a block is measured in: of its set, or the whole one where that has none.

    None where blocks are measured in allocations, of which this is none.
    """
    spread = whole.find("spread", Spread)
    if spread is None:
        return whole
    if not spread.sets:
        return None
    return set_run(whole, spread.set_of(cycle, lost_sets(whole)))


def lost_sets(whole: Run) -> tuple[int, ...]:
    """Return the indices of the sets of a run that are given up."""
    given_up = whole.all_in(GIVEN_UP, GivenUp)
    return tuple(index for index, run in enumerate(set_runs(whole)) if run.run_id in given_up)


def lane_of(cycle: int, lanes: int) -> int:
    """Return the lane of a block, from 0; its set follows from the cycle alike (`Spread`)."""
    return (cycle - 1) % lanes


def write_plan(run: Run, plan: Sequence[PlanEntry], *, cycles_of_allocation: int | None) -> None:
    """Write what a run may measure; where that is in allocations, a file for each of them.

    A job reads all of its file, and looks for every result in it: 100,000 of them would take each
    job a second, and no file system could be looked at that often.

    Args:
        cycles_of_allocation: of a cluster; None where all is measured on this host.
    """
    if cycles_of_allocation is None:
        run.write("plan", plan)
        return
    plans: dict[int, list[PlanEntry]] = {}
    for entry in plan:
        plans.setdefault(allocation_of(entry.cycle, cycles_of_allocation), []).append(entry)
    for number, entries in plans.items():
        run.write(f"plan/{number}", entries)


def plan_beside(whole: Run, cycle: int) -> tuple[PlanEntry, ...]:
    """Return what may be measured where a block is: in an allocation its own blocks, else all.

    Raises:
        ValueError: the invocation that planned it has ended.
    """
    plan, name = whole.invocation, "plan"
    if plan != whole:
        name = f"plan/{allocation_of(cycle, plan.read('spread', Spread).at_once)}"
    return plan.read(name, tuple[PlanEntry, ...])


def allocation_of(cycle: int, cycles_of_allocation: int) -> int:
    """Return the number of the allocation that a block lies in, from 1."""
    return (cycle - 1) // cycles_of_allocation + 1


@contextmanager
def host_share(
    part: Run, *, alone: bool, blocked: locks.Blocked = lambda _holder: None
) -> Iterator[None]:
    """Measure inside the block beside the other sets of a run, or while none of them measures.

    One that waits to be alone holds the gate, so that later ones wait behind it.
    """
    if not part.record.shares_host:
        yield
        return
    folder = part.whole.folder
    with ExitStack() as held:
        with locks.waiting(folder / "gate.lock", blocked=blocked):
            held.enter_context(
                locks.waiting(folder / "host.lock", shared=not alone, blocked=blocked)
            )
        yield


@contextmanager
def loading(part: Run) -> Iterator[None]:
    """Hold one of the places in which engines of a run's sets may load at the same time."""
    spread = None if part.record.device_set is None else part.whole.find("spread", Spread)
    if spread is None:
        yield
        return
    # Sets share places evenly, so that each waits for one lock only.
    place = int(part.folder.name.rpartition("set")[2]) % spread.loads_at_once
    with locks.waiting(part.whole.folder / f"load-{place}.lock"):
        yield


def others_left(whole: Run, part: Run) -> list[Run]:
    """Return the runs of all other sets that are not given up."""
    given_up = whole.all_in(GIVEN_UP, GivenUp)
    return [run for run in set_runs(whole) if run != part and run.run_id not in given_up]


def give_up(whole: Run, part: Run, reason: str) -> None:
    """Measure no more on a set: from now on its blocks lie on others."""
    if part.run_id not in whole.all_in(GIVEN_UP, GivenUp):
        whole.write(f"{GIVEN_UP}/{part.run_id}", GivenUp(reason))
        whole.add_event("set_given_up", devices=str(part.record.device_set), reason=reason)


def publish_runs(results: Path) -> None:
    """Publish every run that adds to `results`, without an end: those of this very invocation,
    which are published again at their end, and those that were killed and not cleaned up since."""
    for run in Run.all():
        with suppress(ValueError):  # not a record of ours, or gone meanwhile
            if run.results == results.absolute():
                run.publish(ended=None)
