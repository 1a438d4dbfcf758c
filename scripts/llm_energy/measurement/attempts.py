"""One planned measurement with all its attempts: what the measuring job does."""

import json
import logging
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from llm_energy.backends import health
from llm_energy.backends.run_status import note_last, report_status
from llm_energy.backends.runtime import SCRIPTS, BackendError
from llm_energy.measurement import known_loads
from llm_energy.measurement.build_result import build_result
from llm_energy.measurement.job import ExperimentRecord, Job, Observation
from llm_energy.measurement.job_energy import energy_spent
from llm_energy.measurement.measurement import measure, prepare
from llm_energy.measurement.provenance import keep_provenance
from llm_energy.measurement.set_failure import gives_up_set
from llm_energy.measurement.token_id_check import refuse_other_token_ids
from llm_energy.results import failures
from llm_energy.results.result import ResultExistsError, write_result
from llm_energy.runs import progress
from llm_energy.runs.live_line import LiveLine
from llm_energy.runs.run import Run, code_digest, utc_now
from llm_energy.runs.run_parts import plan_beside, run_of_block
from llm_energy.system.errors import InputError
from llm_energy.system.processes import nothing_but_kill_ends
from llm_energy.system.scripting import FULL, UserError, disk_refusal
from worker.protocol import OUT_OF_MEMORY

LOG = logging.getLogger(__name__)

ROOM_BYTES = 50_000_000
"""Room on the disk that a measurement is not begun without. Its requests take 8 bytes for each
output token and its series 100 bytes for each device and sample: 10 minutes at 5,000 tokens/s with
8 devices at 10 Hz take 30 MB. Provisional."""


def measure_planned(output: Path, *, spec_hash: str, cycle: int, log: Path, begun_s: float) -> None:
    """Measure into `output`, trying again where the infrastructure failed.

    Every failed attempt leaves a failure record; the result is written last, whole or not at all.

    Args:
        spec_hash: of the experiment.
        begun_s: CLOCK_MONOTONIC when the job's script began, for the account of its overhead.

    Raises:
        UserError: it failed, with the reason and where the records lie.
    """
    whole = Run.current()
    if whole is None:
        raise UserError(
            "measurements belong to a run, which the workflow's onstart opens: start it without "
            "--no-hooks; a workflow that uses it as the module `energy` has the three lines "
            "`onstart: energy.onstart()`, `onsuccess: energy.onsuccess()` and "
            "`onerror: energy.onerror()` (config/README.md)"
        )
    if run_of_block(whole, cycle) is None:
        raise UserError(
            "this job runs elsewhere than the workflow, and its allocation has no run: start the "
            "workflow with --workflow-profile workflow-profile/slurm"
        )
    invocation = whole.invocation
    if not (whole.record.owner.alive() and (invocation.folder / "run.json").exists()):
        # It died before this job could ask the kernel to die with it, or on the head of a cluster.
        raise UserError("the run that this measurement belongs to has ended")
    record = invocation.read(f"experiments/{spec_hash}", ExperimentRecord)
    plan = plan_beside(whole, cycle)
    results = whole.results
    own = output.absolute().relative_to(results).as_posix()
    entry = next(entry for entry in plan if entry.result == own)
    waits_s = list(failures.BACKOFF_S)
    for attempt in count(failures.next_attempt(results, own)):
        run = run_of_block(whole, cycle) or whole  # another set, if that one is given up meanwhile
        job = Job(record, cycle, entry.position, attempt, own)
        started, times_s = utc_now(), [begun_s, time.monotonic()]
        progress.note_start(run, result=own, attempt=attempt)
        with unharmed():
            report_status(whole, results=results, plan=plan, running=True)
        seen = None
        try:
            refuse_full_disk(results)
            seen = begin(job, run)
            now = progress.progress_of(whole, results=results, whole_plan=plan)
            alone = not run.record.shares_host
            with LiveLine(f"{record.name} cycle {cycle}", now, draws=alone) as live:
                measure(job, run, seen, live.show)
            times_s.append(time.monotonic())
            keep_provenance(job, seen, run, results)
            if output.exists():
                raise ResultExistsError(output)  # before its side files are replaced
            result = build_result(job, seen, run, results)
            # Snakemake deletes the result of a job that is ended after it was written.
            with nothing_but_kill_ends():
                write_result(output, result)
        except ResultExistsError:
            # Snakemake would delete the other's result if this job failed.
            LOG.warning("%s was written meanwhile by another run; it is kept", output)
            print(
                f"{record.name} cycle {cycle}: {output} was written meanwhile by another run; it "
                "is kept, and this measurement is not",
                file=sys.stderr,
            )
            return
        except Exception as error:
            failure = as_failure(error)
            reason = failure.reason
            health.note_failure(run, job.backend, reason)
            kept = write_record(job, failure, started=started, results=results, log=log, seen=seen)
            if gives_up_set(whole, run, job.backend, reason):
                # On another set, of which there are ever fewer, it has all its attempts.
                waits_s = [failures.BACKOFF_S[0], *failures.BACKOFF_S]
            elif reason not in failures.RETRIED or not waits_s:
                with unharmed():
                    report_status(whole, results=results, plan=plan, running=False)
                raise UserError(
                    f"{record.name} cycle {cycle} failed: {reason}: {failure}; record: {kept}, "
                    f"log: {log}; the same command measures what is missing"
                ) from error
            LOG.warning("attempt %d failed: %s: %s", attempt, reason, failure)
            time.sleep(waits_s.pop(0))
        else:
            with unharmed():
                health.note_success(run, job.backend)
                times_s.append(time.monotonic())
                # begin, imports, measuring, writing
                LOG.info("times_s %s waited_s %.3f", json.dumps(times_s), seen.waited_s)
                duration_s = times_s[-1] - begun_s - seen.waited_s
                progress.note_duration(whole, experiment=record.name, duration_s=duration_s)
                line = progress.line(whole, result, results=results, whole_plan=plan)
                progress.show_line(line)
                note_last(whole, result)
                report_status(whole, results=results, plan=plan, running=False)
            return


@contextmanager
def unharmed() -> Iterator[None]:
    """Inside it nothing fails the job: Snakemake deletes the result of a job that fails."""
    try:
        yield
    except Exception:
        LOG.exception("reporting failed, which harms no measurement")


def begin(job: Job, run: Run) -> Observation:
    """Make ready to measure once, with the code that the run started with.

    Raises:
        BackendError: that code was changed, or the engine cannot be loaded as this run knows.
    """
    if code_digest(SCRIPTS) != run.record.code_digest:
        raise BackendError(
            "code_changed",
            "the measuring code was changed while the campaign runs; start the same command "
            "again to go on with the new code",
            phase="start",
        )
    known_loads.refuse(run, job, outcomes={OUT_OF_MEMORY})
    seen = prepare(job)
    refuse_other_token_ids(run, job, seen.prompts.sha256)
    return seen


def refuse_full_disk(results: Path) -> None:
    """Refuse to measure where the disk has no room for what a measurement writes.

    Raises:
        BackendError: `disk_full`.
    """
    free = shutil.disk_usage(results).free
    if free < ROOM_BYTES:
        message = f"{free / 1e6:.0f} MB are left on the disk of {results}: make room"
        raise BackendError("disk_full", message, phase="start")


def as_failure(error: Exception) -> BackendError:
    """A failed attempt with its reason code: `internal_error` for a defect of this program, whose
    traceback goes to the log."""
    if isinstance(error, BackendError):
        return error
    if isinstance(error, InputError):
        return BackendError("input_error", str(error), phase="inputs")
    refusal = disk_refusal(error) if isinstance(error, OSError) else None
    if isinstance(error, OSError) and refusal is not None:
        full = error.errno in FULL
        return BackendError("disk_full" if full else "disk_refused", refusal, phase="write")
    LOG.error("a defect", exc_info=error)
    return BackendError("internal_error", f"{type(error).__name__}: {error}", phase="unknown")


def write_record(
    job: Job,
    error: BackendError,
    *,
    started: str,
    results: Path,
    log: Path,
    seen: Observation | None,
) -> Path | str:
    """Keep what is known of a failed attempt, with the energy that it took in vain.

    Returns where it is, or why it could not be kept.
    """
    record = {
        "experiment": job.experiment.name,
        "cycle": job.cycle,
        "spec_hash": job.experiment.spec_hash,
        "attempt": job.attempt,
        "reason": error.reason,
        "phase": error.phase,
        "message": str(error),
        "log_tail": error.log.splitlines(),
        "log": str(log),
        "started": started,
        "failed": utc_now(),
        "energy_spent": energy_spent(job, seen),
    }
    try:
        return failures.write_failure(results, job.result_path, job.attempt, record)
    except OSError as refused:
        return f"none ({refused.strerror})"
