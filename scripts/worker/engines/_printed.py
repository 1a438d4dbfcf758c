"""Text that native code and child processes print: sometimes the only source of a fact."""

import ctypes
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")

PRINTING_S = 1.0
"""The longest wait for it: a thread or a process of its own may print."""


def printed_bytes() -> int:
    """Return the length of what stderr has taken so far, 0 where it is no file."""
    return os.fstat(2).st_size


def printed_since(start: int) -> list[str]:
    """Return the lines on stderr since `start`; none where it is no readable file."""
    printed, before = "", None
    deadline = time.monotonic() + PRINTING_S
    while (not printed or printed != before) and time.monotonic() < deadline:
        time.sleep(PRINTING_S / 20)
        before = printed
        try:
            with Path("/proc/self/fd/2").open("rb") as log:
                log.seek(start)
                printed = log.read().decode(errors="replace")
        except OSError:  # a pipe or a terminal
            break
    return printed.splitlines()


def with_printed(action: Callable[[], Result]) -> tuple[Result, list[str]]:
    """Return the result of `action` and the lines that this process printed to stdout meanwhile.

    They go on to stdout afterwards, also where `action` raises.
    """
    stdout, flush = os.dup(1), ctypes.CDLL(None).fflush
    with tempfile.TemporaryFile() as taken:
        flush(None)
        os.dup2(taken.fileno(), 1)
        try:
            result = action()
        finally:
            flush(None)
            os.dup2(stdout, 1)
            os.close(stdout)
            taken.seek(0)
            printed = taken.read()
            os.write(1, printed)
    return result, printed.decode(errors="replace").splitlines()
