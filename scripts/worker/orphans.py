"""Orphans of an engine: a supervisor is their subreaper, so they are its children in the end."""

import contextlib
import os
import signal
from pathlib import Path


def children() -> set[int]:
    """Ids of this process's children, dead ones that nobody waited for among them."""
    found: set[int] = set()
    for file in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):  # a thread that has ended
            found.update(map(int, file.read_text().split()))
    return found


def kill_children() -> None:
    """SIGKILL all children and reap those that are dead; their own children come here then.

    Only for a process that wants none of its children any more.
    """
    for pid in children():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
