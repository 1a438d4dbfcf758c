"""Identify a process beyond the reuse of its id, and end processes together."""

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

PR_SET_PDEATHSIG = 1
"""prctl(2): the signal this process gets when the thread that made it ends."""


def boot_id() -> str:
    """The kernel's id of this boot: pids and start times mean something within one boot only."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def pid_namespace() -> str:
    """Name the namespace in which process ids are valid: the workflow may run in a container."""
    return str(Path("/proc/self/ns/pid").readlink())


@dataclass(frozen=True)
class ProcessId:
    """A process that no later process can be mistaken for: pids are used again, this is not."""

    pid: int
    start_ticks: int
    """Field 22 of /proc/PID/stat: clock ticks between boot and the start of the process."""
    boot: str

    @classmethod
    def of(cls, pid: int) -> "ProcessId | None":
        """The process that has `pid` now, None where there is none (a zombie counts as none)."""
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return None
        # The name (field 2) may hold spaces and parentheses: split after its last ')'.
        fields = stat.rpartition(")")[2].split()
        if fields[0] in "ZX":
            return None
        return cls(pid=pid, start_ticks=int(fields[19]), boot=boot_id())

    @classmethod
    def current(cls) -> "ProcessId":
        me = cls.of(os.getpid())
        assert me is not None
        return me

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "ProcessId":
        return cls(pid=value["pid"], start_ticks=value["start_ticks"], boot=value["boot"])

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def alive(self) -> bool:
        return ProcessId.of(self.pid) == self

    def end(self, *, patience_s: float = 5.0) -> None:
        """SIGTERM, and SIGKILL after `patience_s`; returns when the process is gone."""
        for sent, wait_s in ((signal.SIGTERM, patience_s), (signal.SIGKILL, 5.0)):
            if not self.alive():
                return
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, sent)
            wait_until_gone(self, timeout_s=wait_s)


def wait_until_gone(process: ProcessId, *, timeout_s: float) -> bool:
    """Wait until `process` has ended; False if it still lives after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while process.alive():
        with contextlib.suppress(ChildProcessError):
            os.waitpid(process.pid, os.WNOHANG)  # reap it where it is a child of ours
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def die_with_parent(parent_pid: int) -> None:
    """Have the kernel kill this process when its parent dies; end at once if it is dead already."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        os._exit(1)


def outlive_parent() -> None:
    """Have the kernel do nothing any more when the parent of this process dies."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, 0)


def descendants(pid: int) -> set[int]:
    """Ids of a process and of all below it, as they are now."""
    import psutil  # here, because most of what starts with this module does not need it

    with contextlib.suppress(psutil.NoSuchProcess):
        return {pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))}
    return {pid}


def process_name(pid: int) -> str | None:
    """The name of a process; None if it is gone, or of another namespace."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return None


@contextlib.contextmanager
def nothing_but_kill_ends() -> Iterator[None]:
    """Ignore INT, TERM and HUP from here on, past the block too; unless it fails."""
    before = {s: signal.signal(s, signal.SIG_IGN) for s in ENDS}
    try:
        yield
    except BaseException:
        for number, handler in before.items():
            signal.signal(number, handler)
        raise
