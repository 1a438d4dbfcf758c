"""Runs of allocations: opened for a living invocation only, and ended with it."""

import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from tests.llm_energy.make_results import make_result, put_result

from llm_energy.backends.runtime import SCRIPTS
from llm_energy.runs.run import JOB_VARIABLE, RUN_VARIABLE, Run
from llm_energy.runs.run_records import PlanEntry, Spread
from llm_energy.system.host import cpu_model
from llm_energy.system.processes import ProcessId
from llm_energy.workflow import allocation
from llm_energy.workflow.allocation import AllocationError

RESULT = "measurements/nap/0123456789ab/cycle-1.json"


@pytest.fixture
def invocation(tmp_path, monkeypatch):
    """A run as the workflow on the head enters it, and the environment of one of its jobs."""
    monkeypatch.chdir(tmp_path)
    run = Run.create(campaign="nap", results=Path("results/nap"), scripts=SCRIPTS)
    record = run.record
    run.write("run", replace(record, host_facts=replace(record.host_facts, git_commit="c0ffee")))
    run.write("plan", [PlanEntry("nap", 1, 0, RESULT, 10.0)])
    run.write("spread", Spread("cpu", new_device=False, schedule=(RESULT,)))
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
    plan = tuple[PlanEntry, ...]
    assert run.read("plan", plan) == invocation.read("plan", plan)
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
    invocation.write("spread", Spread("cpu", new_device=True, schedule=(RESULT,)))
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
