"""The watchdog of a run: renews the lease of its backends while Snakemake lives, ends them after.

A process of its own, so that it outlives a Snakemake that was killed. If it is killed too, the
lease runs out and each supervisor ends by itself.
"""

import signal
import sys
import threading
from pathlib import Path

from llm_energy.backends.registry import end_run
from llm_energy.runs import Run

PERIOD_S = 2.0
"""Between two looks at the owner: also the longest that backends outlive a killed Snakemake."""


def watch(run: Run, stopped: threading.Event) -> None:
    """Renew the lease until the run's owner is gone (then end the run) or `stopped` is set."""
    owner = run.owner
    while not stopped.wait(PERIOD_S):
        if not (run.folder / "run.json").exists():
            return  # the run has been ended and forgotten
        if not owner.alive():
            end_run(run)
            return
        run.renew_lease()


if __name__ == "__main__":
    asked_to_stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: asked_to_stop.set())
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    watch(Run(Path(sys.argv[1])), asked_to_stop)
