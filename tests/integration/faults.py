"""Faults done to a running campaign at moments that seeds choose, and what must hold after each.

The same command is given again and again, each time with the next fault, until the campaign is
complete; then another copy of it begins. Shared by the tests, which make a few trials, and by
`benchmarks/faults.py`, which makes many.
"""

import copy
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llm_energy.analysis.aggregate import aggregate
from llm_energy.analysis.design import Design
from llm_energy.results.result import ResultError, read_planned_result
from llm_energy.runs.results_lock import FILE, LockedError, ResultsLock
from llm_energy.system.processes import ProcessId
from tests.integration.workflow import CAMPAIGN, GONE_S, PATIENCE_S, Tree, finished, wait_for

VICTIMS = {
    "snakemake": None,  # the process that was started
    "measuring job": "measure.py",
    "fork server": "llm_energy.measurement.fork_server",
    "supervisor": "worker.supervisor",
    "engine": "worker.engine_process",
    "watchdog": "llm_energy.backends.watchdog",
}
"""The victims, and the word of the command line that identifies each."""

START_S = 3.0
"""The span of moments before the first measurement is finished: about as long as that takes."""

MEASUREMENT_S = 0.8
"""The span of moments after a finished measurement: about as long as the next one takes."""


def faulted_campaign() -> dict[str, Any]:
    """Two experiments × two cycles of about half a second, with an engine that has a child."""
    campaign = copy.deepcopy(CAMPAIGN)
    campaign["measurement"] |= {"minimum_duration_s": 0.3, "baseline_s": 0.1}
    campaign["defaults"]["engine"] = {"sleep": {"child": True, "child_session": True}}
    return campaign


@dataclass(frozen=True)
class Fault:
    """The victim of a trial, and the moment of its end."""

    victim: str
    progress: float
    """Share of the missing measurements that are finished by then."""
    delay: float
    """How far into the next one, as a share of the time that it takes."""

    @classmethod
    def of(cls, seed: int) -> "Fault":
        chosen = random.Random(seed)
        return cls(chosen.choice([*VICTIMS]), chosen.random(), chosen.random())


@dataclass
class Outcome:
    """The outcome of a trial."""

    hit: bool = False
    """True if the victim lived at that moment; else nothing was killed."""
    survivors: list[str] = field(default_factory=list)
    """Survivors of the run: processes, runs that are still entered, sockets, the lock."""
    losses: list[str] = field(default_factory=list)
    """Results that were lost, changed or damaged, and tables that differ."""


def prepared(folder: Path) -> Tree:
    """A tree whose inputs are ready, to be copied for each trial."""
    tree = Tree.create(folder, faulted_campaign())
    tree.run("inputs", check=True)
    return tree


def trials(
    template: Tree, folder: Path, seeds: Iterable[int]
) -> Iterator[tuple[int | None, Fault | None, Outcome]]:
    """A run of the same command for each seed, with its fault; a last one that is left alone."""
    tree = None
    for seed in seeds:
        if tree is None or not missing(tree):
            tree = template.copy(folder / f"tree-{seed}")
        fault = Fault.of(seed)
        yield seed, fault, trial(tree, fault)
    if tree is not None and missing(tree):
        yield None, None, trial(tree, None)


def trial(tree: Tree, fault: Fault | None) -> Outcome:
    """Give the command, do the fault to what it starts, and look at what is there after its end."""
    outcome, lacking = Outcome(), missing(tree)
    before = {path: path.read_bytes() for path in tree.results()}
    process = tree.start("measurements")
    try:
        outcome.hit = fault is not None and strike(tree, process, fault, lacking)
        code = process.wait(timeout=PATIENCE_S)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    outcome.survivors += living(tree)
    changed = [p.name for p, content in before.items() if p.read_bytes() != content]
    outcome.losses += damaged(tree) + [f"{name} was changed" for name in changed]
    killed = outcome.hit and fault is not None and fault.victim == "snakemake"
    if not killed and (code == 0) != (not missing(tree)):  # what was killed has no say
        outcome.losses.append(f"{missing(tree)} are missing, the exit code is {code}")
    if not missing(tree):
        outcome.losses += differences(tree)
    if fault is None or fault.victim != "snakemake":  # then the next run cleans up
        outcome.survivors += left(tree)
    return outcome


def missing(tree: Tree) -> int:
    """How many measurements have no result."""
    folder = tree.folder / "results/nap"
    return sum(not (folder / planned.result_path).exists() for planned in tree.campaign().schedule)


def strike(tree: Tree, process: subprocess.Popen[bytes], fault: Fault, lacking: int) -> bool:
    """Kill the victim at its moment, or as soon after it as there is one."""
    after = int(fault.progress * lacking)
    wait_for(
        lambda: len(finished(tree.output())) >= after or process.poll() is not None,
        why="measuring does not go on",
    )
    time.sleep(fault.delay * (MEASUREMENT_S if after else START_S))
    while process.poll() is None:
        pids = [process.pid] if fault.victim == "snakemake" else found(tree, fault.victim)
        if pids:
            with suppress(ProcessLookupError):  # it has just ended, and another one may come
                os.kill(pids[0], signal.SIGKILL)
                return True
        time.sleep(0.005)
    return False


def found(tree: Tree, victim: str) -> list[int]:
    """Processes of a tree that are of a kind; an engine before its guard, a server before what it
    forked."""
    word = VICTIMS[victim]
    assert word is not None
    named = (ProcessId.of(pid) for pid in tree.processes() if word in words_of(pid))
    started = ((process.start_ticks, process.pid) for process in named if process is not None)
    return [pid for _, pid in sorted(started)]


def living(tree: Tree) -> list[str]:
    """Processes of a tree that do not end, though the run has."""
    deadline = time.monotonic() + GONE_S
    while (pids := tree.processes()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return [f"process {pid}: {words_of(pid)}" for pid in pids]


def words_of(pid: int) -> str:
    """The command line of a process; empty where it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
    except OSError:
        return ""


def left(tree: Tree) -> list[str]:
    """Whatever there is of a run that has ended."""
    lefts = [f"process {pid}: {words_of(pid)}" for pid in tree.processes()]
    lefts += [str(path) for path in tree.runs()]
    lefts += [str(path) for path in tree.folder.glob("results/**/.*.tmp")]
    try:
        if (tree.folder / "results/nap" / FILE).exists():
            ResultsLock(tree.folder / "results/nap").release()
    except LockedError:
        return [*lefts, "the lock of the results"]
    return lefts


def damaged(tree: Tree) -> list[str]:
    """Results that are there and cannot be used."""
    folder, told = tree.folder / "results/nap", []
    for path in tree.results():
        try:
            read_planned_result(folder, path.relative_to(folder).as_posix())
        except ResultError as error:
            told.append(str(error))
    return told


def differences(tree: Tree) -> list[str]:
    """How the final tables differ from those of an undisturbed run, measured values apart."""
    campaign = tree.campaign()
    summary = aggregate(
        tree.folder / "results/nap",
        planned=[planned.result_path for planned in campaign.schedule],
        design=Design.model_validate(campaign, from_attributes=True),
    )
    table = summary.measurements.sort_values("position")
    findings = summary.findings
    told = [f"{gap.path}: {gap.reason}" for gap in [*findings.missing, *findings.unusable]]
    told += [f"{gap.path}: {gap.reason}" for gap in findings.side_file_gaps]
    rows = table[["experiment", "spec_hash", "cycle", "status"]].itertuples(index=False, name=None)
    planned = [
        (planned.experiment.name, planned.experiment.spec_hash, planned.cycle, "completed")
        for planned in campaign.schedule
    ]
    if (measured := list(rows)) != planned:
        told.append(f"the table of measurements holds {measured}")
    rows = summary.experiments[["experiment", "metric", "n"]].itertuples(index=False, name=None)
    if wrong := [row for row in rows if row[2] != campaign.cycles]:
        told.append(f"the table of experiments holds {wrong}")
    return told
