"""Locks are freed by the kernel when their holder dies, however it dies."""

import fcntl
import os
import pwd
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from llm_energy.system import files, locks

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
        assert path.read_text().strip() == str(other.pid)
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


class TestDevices:
    """Locks of devices, which all users of a host share."""

    @pytest.fixture(autouse=True)
    def shared(self, monkeypatch):
        with tempfile.TemporaryDirectory() as name:  # tmp_path is closed to other users
            folder = Path(name) / "lock"
            folder.mkdir()
            folder.chmod(0o1777)
            folder.parent.chmod(0o755)
            monkeypatch.setattr(locks, "DEVICE_FOLDERS", (folder,))
            yield folder

    def test_one_device_is_measured_by_one_job_at_a_time(self, shared):
        with locks.devices(["cpu"]):
            assert taken(shared / "llm-energy-cpu.lock")
        assert not taken(shared / "llm-energy-cpu.lock")

    def test_who_waits_learns_the_device_and_who_uses_it(self, shared):
        path = shared / "llm-energy-cpu.lock"
        with locks.devices(["cpu"]):
            pass
        other = hold_elsewhere(path)  # by the same file, as any other process of the host
        seen = []

        def blocked(name, user):
            seen.append((name, user))
            other.kill()

        with locks.devices(["cpu"], blocked=blocked):
            pass
        other.wait()
        assert seen == [("cpu", f"process {other.pid} of {pwd.getpwuid(os.getuid()).pw_name}")]

    def test_every_user_may_open_it_whatever_the_umask(self, shared):
        before = os.umask(0o077)
        try:
            with locks.devices(["cpu"]):
                pass
        finally:
            os.umask(before)
        assert stat.S_IMODE((shared / "llm-energy-cpu.lock").stat().st_mode) == 0o444

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")
    def test_another_user_waits_for_the_same_lock(self, shared):
        """Also where the kernel protects the files of others in sticky folders."""
        # This user may not read the checkout.
        code = "".join(Path(module.__file__).read_text() for module in (files, locks))
        code = code.replace("from llm_energy.system.files import", "from __main__ import")
        code += f"""
import sys
DEVICE_FOLDERS = (Path({str(shared)!r}),)
with devices(["cpu"], blocked=lambda name, user: print(name, user, flush=True)):
    print("held", flush=True)
"""
        with locks.devices(["cpu"]):
            other = subprocess.Popen(
                ["/usr/bin/python3", "-I", "-c", code],
                user=65534,
                stdout=subprocess.PIPE,
                text=True,
            )
            assert other.stdout is not None
            assert other.stdout.readline() == f"cpu process {os.getpid()} of root\n"
        assert other.stdout.readline() == "held\n"
        other.wait()

    @pytest.mark.parametrize("planted", ["link", "dangling", "pipe", "folder"])
    def test_what_another_planted_is_neither_followed_nor_waited_on(
        self, shared, tmp_path, planted
    ):
        path, target = shared / "llm-energy-cpu.lock", tmp_path / "target"
        if planted == "link":
            target.write_text("precious")
        if planted in ("link", "dangling"):
            path.symlink_to(target)
        elif planted == "pipe":
            os.mkfifo(path)
        else:
            path.mkdir()
        with pytest.raises(PermissionError, match=r"llm-energy-cpu\.lock"), locks.devices(["cpu"]):
            pass
        assert target.exists() == (planted == "link")

    def test_a_lock_that_was_removed_meanwhile_is_taken_anew(self, shared):
        path = shared / "llm-energy-cpu.lock"
        with locks.devices(["cpu"]):
            pass
        other = hold_elsewhere(path)

        def blocked(_name, _user):
            path.unlink()
            other.kill()

        with locks.devices(["cpu"], blocked=blocked):
            assert taken(path)
        other.wait()

    def test_whoever_disturbs_waits_for_all_devices_and_holds_none_meanwhile(self, shared):
        for name in ("a", "b"):
            with locks.devices([name]):
                pass
        (shared / "llm-energy-planted.lock").mkdir()
        first, second = (shared / f"llm-energy-{name}.lock" for name in ("a", "b"))
        other, seen = hold_elsewhere(second), []

        def blocked(user):
            seen.append((user, taken(first)))
            other.kill()

        with locks.no_device(blocked=blocked):
            assert taken(first)
            assert taken(second)
        other.wait()
        user = f"process {other.pid} of {pwd.getpwuid(os.getuid()).pw_name}"
        assert seen == [(user, False)]
        assert not taken(first)
        assert not taken(second)

    def test_a_run_waits_for_the_gpus_of_another_one_and_measurements_do_not(self, shared):
        path = shared / "llm-energy-GPU-b.run"
        for descriptor in locks.gpus_for_run(["GPU-b", "GPU-a"]):
            os.close(descriptor)
        other, seen = hold_elsewhere(path), []

        def blocked(uuid, holder):
            seen.append((uuid, holder, taken(shared / "llm-energy-GPU-a.run")))
            with locks.devices(["GPU-b"]):
                other.kill()

        held = locks.gpus_for_run({"GPU-b", "GPU-a", "GPU-c"}, blocked=blocked)
        other.wait()
        user = f"process {other.pid} of {pwd.getpwuid(os.getuid()).pw_name}"
        assert seen == [("GPU-b", user, True)]
        assert all(taken(shared / f"llm-energy-GPU-{name}.run") for name in "abc")
        for descriptor in held:
            os.close(descriptor)
        assert not any(taken(shared / f"llm-energy-GPU-{name}.run") for name in "abc")

    def test_whoever_gives_up_waiting_holds_nothing(self, shared):
        (shared / "llm-energy-GPU-b.run").mkdir()
        with pytest.raises(PermissionError):
            locks.gpus_for_run(["GPU-a", "GPU-b"])
        assert not taken(shared / "llm-energy-GPU-a.run")

    def test_a_folder_that_is_a_link_or_closed_is_not_used(self, shared, tmp_path, monkeypatch):
        link, closed = tmp_path / "link", tmp_path / "closed"
        link.symlink_to(shared)
        closed.mkdir(mode=0o755)
        monkeypatch.setattr(locks, "DEVICE_FOLDERS", (link, closed, shared))
        with locks.devices(["cpu"]):
            assert taken(shared / "llm-energy-cpu.lock")


def taken(path: Path) -> bool:
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
