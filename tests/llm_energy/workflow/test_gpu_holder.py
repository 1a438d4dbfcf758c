"""The process that holds the GPUs of an allocation, as its run finds it."""

import os
import signal
from pathlib import Path

import pytest

from llm_energy.backends.runtime import SCRIPTS
from llm_energy.runs.run import Run
from llm_energy.system import locks
from llm_energy.system.processes import ENDS, ProcessId, wait_until_gone
from llm_energy.workflow.gpu_holder import HOLDER, hold_in_background

UUID = "GPU-0000aaaa-0000-0000-0000-000000000001"


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = Run.create(campaign="nap", results=Path("results/nap"), scripts=SCRIPTS)
    yield run
    if run in Run.all():
        run.remove()


@pytest.fixture
def holder(run):
    hold_in_background(run, [UUID])
    holder = run.read(HOLDER, ProcessId)
    yield holder
    if holder.alive():
        os.kill(holder.pid, signal.SIGKILL)
    assert wait_until_gone(holder, timeout_s=60.0)


def test_it_outlives_the_signals_that_end_a_job(holder):
    """Engines are stopped after them, and still use the GPUs."""
    for number in ENDS:
        os.kill(holder.pid, number)
    assert not wait_until_gone(holder, timeout_s=1.5)
    with pytest.raises(locks.HeldError):
        locks.hold_for_run(UUID)


def test_it_ends_with_its_run(run, holder):
    run.remove()
    assert wait_until_gone(holder, timeout_s=60.0)
    os.close(locks.hold_for_run(UUID))
