"""A process is never mistaken for another, and ours end with the one they belong to."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.waiting import PATIENCE_S, wait_until

from llm_energy.system.processes import ProcessId, wait_until_gone

SCRIPTS = Path(__file__).parents[3] / "scripts"


@pytest.fixture
def sleeper():
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


def test_a_living_process_is_alive_and_survives_its_json(sleeper):
    identity = ProcessId.of(sleeper.pid)
    assert identity is not None
    assert identity.alive()
    assert ProcessId.from_json(identity.to_json()) == identity


def test_a_pid_used_again_is_another_process(sleeper):
    identity = ProcessId.of(sleeper.pid)
    assert identity is not None
    later = ProcessId(identity.pid, identity.start_ticks + 1, identity.boot)
    assert not later.alive()


def test_a_process_of_another_boot_is_dead(sleeper):
    identity = ProcessId.of(sleeper.pid)
    assert identity is not None
    assert not ProcessId(identity.pid, identity.start_ticks, "another-boot").alive()


def test_a_zombie_counts_as_dead():
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # ended, not yet reaped
    assert ProcessId.of(process.pid) is None
    process.wait()


def test_end_kills_a_process_that_ignores_terminate():
    code = (
        "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    identity = ProcessId.of(process.pid)
    assert identity is not None
    identity.end(patience_s=0.2)
    assert not identity.alive()
    process.stdout.close()


def test_a_child_dies_with_its_parent_when_requested(tmp_path):
    child = (
        "import os, sys, time; from llm_energy.system.processes import die_with_parent;"
        "die_with_parent(os.getppid());"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()));"
        "time.sleep(60)"
    )
    parent_code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    parent = subprocess.Popen(
        [sys.executable, "-c", parent_code], env=os.environ | {"PYTHONPATH": str(SCRIPTS)}
    )
    written = tmp_path / "pid"
    wait_until(lambda: written.exists() and written.read_text(), what="the child runs")
    identity = ProcessId.of(int(written.read_text()))
    assert identity is not None
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert wait_until_gone(identity, timeout_s=PATIENCE_S)
