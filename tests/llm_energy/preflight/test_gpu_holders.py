"""Processes that hold NVIDIA devices or the management library are named."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from llm_energy.preflight.gpu_holders import NEEDED, holder_finding, holders

SCRIPTS = Path(__file__).parents[3] / "scripts"

HOLD = """
import ctypes, sys, time
ctypes.CDLL(sys.argv[1])
kernel = ctypes.CDLL(None)
kernel.prctl(15, sys.argv[2].encode())  # its name
kernel.prctl(4, 0)  # /proc shows only to root what it holds
print(flush=True)
time.sleep(600)
"""

LOOK = """
import os, sys
sys.path.insert(0, sys.argv[1])
from llm_energy.preflight.gpu_holders import holders
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
found, unread = holders([])
print([(holder.pid, holder.name, holder.holds) for holder in found], unread)
"""


@pytest.fixture
def hold(nvml_library):
    processes = []

    def start(name):
        """Start a process of this name that has loaded the simulated library."""
        command = [sys.executable, "-c", HOLD, str(nvml_library), name]
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE))
        processes[-1].stdout.readline()
        return processes[-1].pid

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def test_a_process_that_loaded_the_library_is_named(nvml_library):
    command = [sys.executable, "-c", HOLD.replace("kernel.prctl(4, 0)", ""), str(nvml_library)]
    with subprocess.Popen([*command, "monitor-of-x"], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        finding = holder_finding([])
        found, _ = holders([process.pid])
        process.kill()
    assert finding.status == "warning"
    assert f"process {process.pid} (monitor-of-x)" in finding.message
    assert "stop it while you measure" in finding.message
    mine = {"pid": process.pid, "name": "monitor-of-x", "holds": "library"}
    assert mine in finding.facts["processes"]
    assert process.pid not in [holder.pid for holder in found]


def test_neither_this_process_nor_the_persistence_daemon_is_named(hold):
    pid = hold("nvidia-persistenced")
    assert "nvidia-persistenced".startswith(NEEDED)
    found, _ = holders([])
    assert {pid, os.getpid(), os.getppid()}.isdisjoint(holder.pid for holder in found)


def test_where_proc_shows_nothing_a_monitor_is_known_by_its_name(hold):
    monitor, other = hold("dcgm-exporter"), hold("something")
    command = [sys.executable, "-c", LOOK, str(SCRIPTS)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert f"({monitor}, 'dcgm-exporter', 'unknown')" in done.stdout, done.stderr
    assert f"({other}, " not in done.stdout
    assert int(done.stdout.split()[-1]) > 0
