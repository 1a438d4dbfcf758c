"""Scheduling of the threads that read sensors, on a machine that is busy with what is measured."""

import logging
import os
import threading

LOG = logging.getLogger(__name__)

NICENESS = (-20, -15, -10, -5)
"""Tried in turn: a user may have the right to some of them (RLIMIT_NICE), root and containers with
CAP_SYS_NICE to all."""


def prefer_this_thread() -> int:
    """Have the calling thread run before others, as far as the system allows; return its niceness.

    A reading that waits for a processor is late, and one that is interrupted has no certain moment.
    """
    thread = threading.get_native_id()
    for niceness in NICENESS:
        try:
            os.setpriority(os.PRIO_PROCESS, thread, niceness)
        except OSError:
            continue
        return niceness
    LOG.info("this user may not raise the priority of the thread that reads power")
    return os.getpriority(os.PRIO_PROCESS, thread)
