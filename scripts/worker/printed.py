"""What native code and child processes print to stderr: sometimes the only cause of a failure."""

import os
import time
from pathlib import Path

PRINTING_S = 1.0
"""The longest wait for it: who prints may be a thread or a process of its own."""


def printed_bytes() -> int:
    """Length of what stderr has taken so far, 0 where it is no file."""
    return os.fstat(2).st_size


def printed_since(start: int) -> list[str]:
    """Lines on stderr since `start`; none where it is no readable file."""
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
