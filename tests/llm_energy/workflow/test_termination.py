"""SIGTERM ends a run also while Snakemake selects jobs."""

import subprocess
import sys

from tests.integration.workflow import ROOT

SELECTING = """
import os, signal, sys, threading
sys.path.insert(0, "scripts")
import snakemake.api  # before its parts, which import each other
from snakemake.scheduling.job_scheduler import JobScheduler
from snakemake.workflow import Workflow
from llm_energy.workflow.termination import handle_sigterm_in_a_thread

handle_sigterm_in_a_thread(object.__new__(Workflow))
scheduler = object.__new__(JobScheduler)  # what its handler uses, and nothing else
scheduler._lock, scheduler._open_jobs = threading.Lock(), threading.Semaphore(0)
signal.signal(signal.SIGTERM, scheduler.exit_gracefully)
with scheduler._lock:  # as while it selects jobs
    os.kill(os.getpid(), signal.SIGTERM)
scheduler._open_jobs.acquire()
print(scheduler._user_kill)
"""


def test_a_scheduler_that_selects_jobs_is_ended_once_it_has_selected_them():
    command = [sys.executable, "-c", SELECTING]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert ended.stdout == "graceful\n", ended.stderr
