"""Runs of allocations: opened for a living invocation only, and ended with it."""

import json
import os
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from tests.amd_smi_simulator.scenario import AmdGpu
from tests.llm_energy.make_results import make_result, put_result
from tests.nvml_simulator.scenario import Gpu, with_uuid

from llm_energy.backends.running import known_backend
from llm_energy.backends.runtime import (
    SCRIPTS,
    ContainerSettings,
    DeclaredBackend,
    ReadyEnvironment,
)
from llm_energy.campaign.backend_settings import Container
from llm_energy.runs.run import JOB_VARIABLE, RUN_VARIABLE, Run
from llm_energy.runs.run_parts import plan_beside, run_of_block, set_runs
from llm_energy.runs.run_records import PlanEntry, Spread
from llm_energy.runs.waiting_start import waiting_starts
from llm_energy.system import locks
from llm_energy.system.cache import environment_marker
from llm_energy.system.host import cpu_model
from llm_energy.system.processes import ProcessId, wait_until_gone
from llm_energy.system.vocabulary import DOCKER
from llm_energy.workflow import allocation
from llm_energy.workflow.allocation import AllocationError
from llm_energy.workflow.gpu_holder import HOLDER

RESULT = "measurements/nap/0123456789ab/cycle-1.json"


@pytest.fixture
def invocation(tmp_path, monkeypatch):
    """A run as the workflow on the head enters it, and the environment of one of its jobs."""
    monkeypatch.chdir(tmp_path)
    run = Run.create(campaign="nap", results=Path("results/nap"), scripts=SCRIPTS)
    record = run.record
    run.write("run", replace(record, host_facts=replace(record.host_facts, git_commit="c0ffee")))
    run.write("plan/1", [PlanEntry("nap", 1, 0, RESULT, 10.0)])
    run.write("schedule", [RESULT])
    run.write("spread", Spread("cpu", new_device=False))
    monkeypatch.setenv(RUN_VARIABLE, str(run.folder))
    monkeypatch.setenv(JOB_VARIABLE, "7")
    yield run
    allocation.end()
    if run in Run.all():
        run.remove()


def begin():
    return allocation.begin(ProcessId.current())


def test_it_measures_what_the_invocation_planned_as_a_session_of_its_own(invocation):
    run = begin()
    assert plan_beside(run, 1) == (PlanEntry("nap", 1, 0, RESULT, 10.0),)
    assert run.record.session_id != invocation.record.session_id
    assert run.record.host_facts.cpu_model == cpu_model()
    assert run.record.host_facts.git_commit == "c0ffee"
    assert run.record.code_digest == invocation.record.code_digest
    watchdog = run.read("watchdog", ProcessId)
    assert watchdog.alive()
    allocation.end()
    assert not watchdog.alive()
    assert Run.all() == [invocation]


def test_nothing_is_measured_for_an_invocation_that_has_ended(invocation):
    invocation.remove()
    with pytest.raises(AllocationError, match="has ended"):
        begin()


def test_a_node_of_another_device_model_adds_nothing_unless_allowed(invocation):
    put_result(invocation.results / RESULT, make_result(device_model="Abacus"))
    with pytest.raises(AllocationError, match="was measured on `Abacus`"):
        begin()
    assert Run.all() == [invocation]
    invocation.write("spread", Spread("cpu", new_device=True))
    assert begin().record.job == "7"


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Slurm's commands, which say what they were asked and know no job any more."""
    for name in ("scancel", "squeue"):
        command = tmp_path / "bin" / name
        command.parent.mkdir(exist_ok=True)
        refusal = "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1"
        command.write_text(f'#!/bin/sh\necho {name} "$@" >>{tmp_path}/asked\n{refusal}\n')
        command.chmod(command.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    return tmp_path / "asked"


ONE, TWO = with_uuid(Gpu(cpus=(0,)), 1), with_uuid(Gpu(), 2)


def declare_bare(invocation):
    """Declare a backend whose supervisor needs Python alone."""
    ready = ReadyEnvironment(sys.executable, "3", "0", {}, "0")
    marker = environment_marker("bare")
    marker.parent.mkdir(parents=True)
    marker.write_text(json.dumps(vars(ready) | {"kind": "interpreter"}))
    container = ContainerSettings(**Container().model_dump())
    invocation.write("declared/bare", DeclaredBackend("bare", "process", "bare", container, ()))


def spread_over(invocation, sets, **known):
    invocation.write(
        "spread",
        Spread("gpu", True, at_once=sets, **{"gpus_of_set": 1, **known}),
    )


def test_an_allocation_of_several_gpus_is_spread_over_them(invocation, simulate):
    simulate(ONE, TWO)
    spread_over(invocation, 2, loads_at_once=2)
    declare_bare(invocation)
    run = begin()
    parts = set_runs(run)
    supervisors = {
        ProcessId.from_json(known_backend(part, "bare").handle["process"]) for part in parts
    }
    assert len(supervisors) == 2
    assert all(supervisor.alive() for supervisor in supervisors)
    assert [part.record.device_set.devices for part in parts] == [(ONE.uuid,), (TWO.uuid,)]
    assert [run_of_block(run, cycle) for cycle in (1, 2, 3)] == [parts[0], parts[1], parts[0]]
    for part in parts:
        record = part.record
        assert (record.job, record.owner, record.shares_host) == ("7", run.record.owner, True)
        assert part.whole == run
        assert part.invocation == invocation
    assert run.read("spread", Spread).loads_at_once == 2
    watchdogs = [part.read("watchdog", ProcessId) for part in parts]
    assert all(watchdog.alive() for watchdog in watchdogs)
    allocation.end()
    assert not any(watchdog.alive() for watchdog in watchdogs)
    assert Run.all() == [invocation]


def test_it_uses_the_gpus_that_slurm_gives_it(invocation, simulate, monkeypatch):
    simulate(ONE, TWO)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    spread_over(invocation, 1)
    (part,) = set_runs(begin())
    assert part.record.device_set.devices == (TWO.uuid,)


def is_free(uuid):
    try:
        os.close(locks.hold_for_run(uuid))
    except locks.HeldError:
        return False
    return True


def test_it_has_its_gpus_for_itself_until_it_ends(invocation, simulate):
    simulate(ONE, TWO)
    spread_over(invocation, 1)
    holder = begin().read(HOLDER, ProcessId)
    with pytest.raises(locks.HeldError, match=f"^process {holder.pid} of "):
        locks.hold_for_run(ONE.uuid)
    assert is_free(TWO.uuid)
    allocation.end()
    assert not holder.alive()
    assert is_free(ONE.uuid)


@pytest.mark.parametrize(
    ("gpus", "held"),
    [("all", {ONE.uuid, TWO.uuid}), (1, {ONE.uuid, TWO.uuid}), ((TWO.uuid,), {TWO.uuid})],
)
def test_without_sets_it_has_all_gpus_that_its_backends_may_use(invocation, simulate, gpus, held):
    simulate(ONE, TWO)
    spread_over(invocation, 1, gpus_of_set=None)
    container = replace(ContainerSettings(**Container().model_dump()), gpus=gpus)
    invocation.write("declared/bare", DeclaredBackend("bare", "process", "bare", container, ()))
    begin()
    assert {uuid for uuid in (ONE.uuid, TWO.uuid) if not is_free(uuid)} == held


def test_it_begins_after_the_run_that_has_its_gpus(invocation, simulate, capfd):
    simulate(ONE)
    spread_over(invocation, 1)
    other = locks.hold_for_run(ONE.uuid)
    waiting, printed = f"Waiting for {ONE.uuid}, used by the run of process {os.getpid()} of ", ""
    with ThreadPoolExecutor() as pool:
        begun = pool.submit(begin)
        while waiting not in printed and not begun.done():
            printed += capfd.readouterr().err
            time.sleep(0.01)
        assert not begun.done()
        (start,) = waiting_starts(invocation.results)
        assert f"Waiting for {start.waits_for}".startswith(waiting)
        os.close(other)
        assert begun.result().read(HOLDER, ProcessId).alive()
    assert waiting_starts(invocation.results) == []


def test_gpus_of_an_allocation_whose_script_was_killed_are_free(invocation, simulate):
    simulate(ONE)
    spread_over(invocation, 1)
    script = subprocess.Popen(["sleep", "600"])
    holder = allocation.begin(ProcessId.of(script.pid)).read(HOLDER, ProcessId)
    script.kill()
    script.wait()
    assert wait_until_gone(holder, timeout_s=60.0)
    assert is_free(ONE.uuid)


def test_a_lock_that_is_no_file_ends_the_allocation(invocation, simulate):
    simulate(ONE)
    spread_over(invocation, 1)
    descriptor = locks.hold_for_run(ONE.uuid)
    path = Path(f"/proc/self/fd/{descriptor}").readlink()
    os.close(descriptor)
    path.unlink()
    path.mkdir()
    try:
        with pytest.raises(AllocationError, match="not a lock that every user may open"):
            begin()
    finally:
        path.rmdir()
    assert Run.all() == [invocation]


@pytest.mark.parametrize(
    ("machine", "sets", "size", "message"),
    [
        ([ONE], 2, 1, "this allocation has 1 GPU, `parallel` needs 2: correct `gpu`"),
        ([ONE], 1, 2, "1 GPU cannot make a set of 2"),
        ([with_uuid(Gpu(mig=True), 3)], 1, 1, "is split by MIG"),
    ],
)
def test_gpus_that_make_no_sets_end_the_allocation(
    invocation, simulate, machine, sets, size, message
):
    simulate(*machine)
    spread_over(invocation, sets, gpus_of_set=size)
    with pytest.raises(AllocationError, match=message) as refused:
        begin()
    assert "\n" not in str(refused.value)
    assert Run.all() == [invocation]


@pytest.mark.parametrize("gpus_of_set", [None, 1])
def test_a_container_on_a_node_with_amd_gpus_is_refused(invocation, simulate_amd, gpus_of_set):
    simulate_amd(AmdGpu())
    spread_over(invocation, 1, gpus_of_set=gpus_of_set)
    container = ContainerSettings(**Container(gpus="all").model_dump())
    invocation.write("declared/boxy", DeclaredBackend("boxy", DOCKER, "boxy", container, ()))
    with pytest.raises(AllocationError) as refused:
        begin()
    assert str(refused.value) == (
        "nap: backends.boxy: no container gets AMD GPUs; use `runtime: process`"
    )
    assert Run.all() == [invocation]


def test_a_dead_allocation_is_forgotten_with_its_sets(invocation, simulate, slurm):
    simulate(ONE, TWO)
    spread_over(invocation, 2)
    holder = (run := begin()).read(HOLDER, ProcessId)
    for part in (run, *set_runs(run)):
        part.read("watchdog", ProcessId).end()
    invocation.remove()
    assert list(allocation.cancel_orphans()) == ["7"]
    assert slurm.read_text().splitlines() == ["scancel 7", "squeue --noheader --jobs 7"]
    assert Run.all() == []
    assert wait_until_gone(holder, timeout_s=60.0)


def test_jobs_of_a_dead_invocation_are_cancelled_and_forgotten(invocation, slurm):
    run = begin()
    assert list(allocation.cancel_orphans()) == []  # its invocation lives
    watchdog = run.read("watchdog", ProcessId)
    watchdog.end()  # as Slurm ends it
    invocation.remove()
    assert list(allocation.cancel_orphans()) == ["7"]
    assert slurm.read_text().splitlines() == ["scancel 7", "squeue --noheader --jobs 7"]
    assert Run.all() == []


def test_without_slurm_what_a_dead_invocation_left_cannot_be_judged(invocation, monkeypatch):
    begin()
    invocation.remove()
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(AllocationError, match="cannot ask Slurm"):
        list(allocation.cancel_orphans())
