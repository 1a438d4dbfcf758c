"""Locks are freed by the kernel when their holder dies, however it dies."""

import subprocess
import sys
from pathlib import Path

from llm_energy.system import locks

SCRIPTS = Path(__file__).parents[3] / "scripts"


def hold_elsewhere(path):
    code = (
        f"import sys, time; sys.path.insert(0, {str(SCRIPTS)!r});"
        "from pathlib import Path; from llm_energy.system import locks;"
        f"kept = locks.hold(Path({str(path)!r})); print(kept is not None, flush=True);"
        "time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "True"
    return process


def test_a_lock_is_held_by_one_process_at_a_time(tmp_path):
    path = tmp_path / "deep" / "campaign.lock"
    other = hold_elsewhere(path)
    try:
        assert locks.hold(path) is None
        assert locks.holder(path) == str(other.pid)
    finally:
        other.kill()
        other.wait()


def test_a_killed_holder_leaves_no_lock(tmp_path):
    path = tmp_path / "campaign.lock"
    other = hold_elsewhere(path)
    other.kill()
    other.wait()
    held = locks.hold(path)
    assert held is not None
    held.close()


def test_one_device_is_measured_by_one_job_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "DEVICE_LOCKS", tmp_path / "locks")
    with locks.devices(["cpu"]):
        assert locks.hold(tmp_path / "locks" / "cpu.lock") is None
    held = locks.hold(tmp_path / "locks" / "cpu.lock")
    assert held is not None
    held.close()
