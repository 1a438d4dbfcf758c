"""Waiting for what must happen: as long as it takes on a busy machine, and no longer."""

import time
from collections.abc import Callable
from typing import Any

PATIENCE_S = 60.0
"""How long a test waits for what must happen; generous, since nothing is asserted on time."""


def wait_until(condition: Callable[[], Any], *, what: str) -> None:
    """Wait until `condition()` is true; `what` completes the message of a failure."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.01)


def sleep_until(moment_s: float) -> None:
    """Sleep until a moment on CLOCK_MONOTONIC has passed."""
    while (left_s := moment_s - time.monotonic()) >= 0:
        time.sleep(left_s + 0.01)
