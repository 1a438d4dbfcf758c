"""The lease by which the backends of a run live: a file that the watchdog renews.

It holds the moment until which they may live, in seconds of CLOCK_MONOTONIC.
"""

import time
from pathlib import Path

from llm_energy.system.files import write_atomically

LEASE_S = 30.0
"""Time that backends outlive the last renewal: the longest that anything survives its run."""


def renew(lease: Path) -> None:
    """Let the backends live for another `LEASE_S` seconds."""
    write_atomically(lease, f"{time.monotonic() + LEASE_S:.3f}\n".encode())


def renewed_lately(lease: Path) -> bool:
    """Return whether the lease was renewed within `LEASE_S`, by the clock of the file system."""
    return time.time() - lease.stat().st_mtime < LEASE_S
