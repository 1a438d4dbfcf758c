"""The lease on which a supervisor lives: the host's watchdog renews it by writing a later expiry.

The file holds one decimal number, seconds on CLOCK_MONOTONIC (which containers share with their
host), and is replaced by rename, so that it is never seen half written.
"""

import time
from pathlib import Path


def expired(lease: Path) -> bool:
    """Whether the lease has run out. A file that is missing or unreadable is no lease."""
    try:
        expiry = float(lease.read_text())
    except (OSError, ValueError):
        return True
    return not time.monotonic() < expiry
