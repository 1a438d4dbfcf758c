"""A process that holds the GPUs of an allocation until its run ends.

The kernel frees a lock when its process ends, and what begins the run of an allocation ends before
the first measurement. A run on one host needs none: Snakemake itself holds its GPUs.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection
from pathlib import Path

from llm_energy.backends.runtime import SCRIPTS
from llm_energy.runs.run import Run
from llm_energy.runs.waiting_start import OF_RUN, noted
from llm_energy.system.processes import ENDS, ProcessId, die_with_parent, outlive_parent
from llm_energy.workflow.run_gpus import hold_gpus

HELD = "held"
"""Line of the holder once it has all GPUs; any other is the reason why it cannot have them."""

HOLDER = "gpu_holder"
"""Name of the run's record of the process."""

PERIOD_S = 0.5


class NotHeldError(Exception):
    """The GPUs cannot be held; the message is one line."""


def hold_in_background(run: Run, uuids: Collection[str]) -> None:
    """Hold GPUs for a run until it or its owner ends; return once it has them.

    Another run that has one is waited for, with a line in the log of the job.

    Raises:
        NotHeldError: a lock is no file that every user may open, for example.
    """
    if not uuids:
        return
    command = [sys.executable, "-m", "llm_energy.workflow.gpu_holder"]
    holder = subprocess.Popen(
        [*command, str(os.getpid()), str(run.folder), *sorted(uuids)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(SCRIPTS)},
        start_new_session=True,
    )
    assert holder.stdout is not None
    with holder.stdout as answers:
        answer = answers.readline().strip()
    identity = ProcessId.of(holder.pid)
    if answer != HELD or identity is None:
        reason = "the process that holds the GPUs ended"
        raise NotHeldError(reason if answer in ("", HELD) else answer)
    run.write(HOLDER, identity)


def main(parent_pid: str, folder: str, *uuids: str) -> None:
    die_with_parent(int(parent_pid))  # only it knows of this process until the GPUs are held
    run = Run(Path(folder))
    owner = run.record.owner
    try:
        with noted(run.folder / OF_RUN) as note:
            held = hold_gpus(uuids, note=note)
    except OSError as error:
        print(error, flush=True)
        return
    # Slurm sends the end of a job to each of its processes, and engines are stopped only then.
    for number in ENDS:
        signal.signal(number, signal.SIG_IGN)
    outlive_parent()
    print(HELD, flush=True)
    while held and owner.alive() and run.folder.exists():
        time.sleep(PERIOD_S)


if __name__ == "__main__":
    main(*sys.argv[1:])
