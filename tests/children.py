"""Processes below that of the tests, found by their command lines."""

import contextlib
import os
from pathlib import Path

from llm_energy.system.processes import descendants


def running(words: str) -> bool:
    """Return True where a process below this one has these words in its command line."""
    for pid in descendants(os.getpid()):
        with contextlib.suppress(OSError):
            if words.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                return True
    return False
