"""Orphans of an engine: a supervisor is their subreaper, so they are its children in the end.

Where the supervisor was killed itself, they are found by a mark in their environment, which every
process hands on to its children: by the engine's guard, or, where that was killed too, by whoever
ends the run.
"""

import contextlib
import os
import signal
import time
from pathlib import Path

MARK = "LLM_ENERGY_ENGINE"
"""Environment variable that an engine and all below it have; its value names the engine."""

RUN_MARK = "LLM_ENERGY_OF_RUN"
"""Environment variable that a supervisor on the host and all below it have: the id of their run."""

STEP_S, STEPS = 0.01, 500
"""Interval and number of checks that killed processes are gone."""


def children() -> set[int]:
    """Return the ids of this process's children, unreaped ones included."""
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


def marked(mark: str, value: str) -> set[int]:
    """Return the ids of all processes that have this mark, except this one."""
    entry, found = f"{mark}={value}".encode(), set[int]()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended, or is another user's
            if entry in (folder / "environ").read_bytes().split(b"\0"):
                found.add(int(folder.name))
    return found - {os.getpid()}


def kill_marked(mark: str, value: str) -> None:
    """SIGKILL all processes that have this mark, except this one, until there are none."""
    for _ in range(STEPS):  # one that hangs in the kernel does not go
        if not (pids := marked(mark, value)):
            return
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(STEP_S)
