"""SIGTERM to a run, which ends it once the measurement that is being made has ended."""

import sys
import threading
from typing import Any


def handle_sigterm_in_a_thread(workflow: Any) -> None:
    """Let Snakemake handle SIGTERM in a thread of its own.

    Its handler (`JobScheduler.exit_gracefully` of 9.27) takes the lock of the scheduler. The main
    thread runs handlers, and holds that lock while it selects jobs: it would wait for itself
    forever.

    Args:
        workflow: the object that rule files find; nothing here imports Snakemake.
    """
    scheduler = getattr(sys.modules[type(workflow).__module__], "JobScheduler", None)
    handle = getattr(scheduler, "exit_gracefully", None)
    if scheduler is None or handle is None:
        return

    def exit_gracefully(*arguments: Any) -> None:
        threading.Thread(target=handle, args=arguments, daemon=True).start()

    scheduler.exit_gracefully = exit_gracefully
