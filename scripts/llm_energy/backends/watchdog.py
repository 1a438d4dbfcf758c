"""The watchdog of a run: renews the lease of its backends, heals them, and ends them with the run.

A process of its own, so that it outlives a Snakemake that was killed. If it is killed too, the
lease runs out and each supervisor ends by itself.
"""

import contextlib
import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path

from llm_energy.backends.healing import Healer
from llm_energy.backends.running import end_run
from llm_energy.runs import lease
from llm_energy.runs.run import Run

PERIOD_S = 2.0
"""Period of the check of the owner: the longest time that backends outlive a killed Snakemake."""


def watch(run: Run, stopped: threading.Event) -> None:
    """Renew the lease until the run's owner is gone (then end the run) or `stopped` is set.

    Healing may take long and may fail: it happens beside, and never keeps the lease from being
    renewed.
    """
    owner, healer = run.record.owner, Healer(run)
    threading.Thread(target=healer.heal_all, daemon=True).start()
    while not stopped.wait(PERIOD_S):
        if not (run.folder / "run.json").exists():
            return  # the run has been ended and forgotten
        if not owner.alive():
            healer.end()
            end_run(run)
            return
        with contextlib.suppress(OSError):  # a full disk must not end the watch
            lease.renew(run.lease)


if __name__ == "__main__":
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(message)s", level=logging.INFO)
    logging.Formatter.converter = time.gmtime
    stop_requested = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop_requested.set())
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    run = Run(Path(sys.argv[1]))
    os.chdir(run.working_folder)  # only now: Python would look for modules there first
    watch(run, stop_requested)
