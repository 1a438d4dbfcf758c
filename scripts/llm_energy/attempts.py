"""One cell of the campaign with all its attempts: what the measuring job does."""

import json
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from llm_energy import failures, progress
from llm_energy.assemble import assemble, energy_spent
from llm_energy.backends import health
from llm_energy.backends.runtime import SCRIPTS, BackendError
from llm_energy.inputs.errors import InputError
from llm_energy.job import Job, Observation
from llm_energy.measurement import measure, prepare
from llm_energy.provenance import keep_provenance
from llm_energy.results import write_result
from llm_energy.runs import Run, code_digest, utc_now
from llm_energy.scripting import UserError

LOG = logging.getLogger(__name__)


def measure_cell(output: Path, *, experiment: str, cycle: int, log: Path, begun_s: float) -> None:
    """Measure one cell into `output`, trying again where the infrastructure failed.

    Every failed attempt leaves a failure record; the result is written last, whole or not at all.

    Args:
        begun_s: CLOCK_MONOTONIC when the job's script began, for the account of its overhead.

    Raises:
        UserError: it failed, with the reason and where the records lie.
    """
    run = Run.current()
    if run is None:
        raise UserError(
            "measurements belong to a run, which the workflow's onstart opens: start the workflow "
            "without --no-hooks"
        )
    facts = run.read(f"experiments/{experiment}")
    entry = next(
        e for e in run.read("plan") if e["experiment"] == experiment and e["cycle"] == cycle
    )
    results = Path(run.facts["results"])
    first = failures.next_attempt(results, entry["result"])
    for attempt in range(first, first + len(failures.BACKOFF_S) + 1):
        job = Job(experiment, cycle, entry["position"], attempt, entry["result"], facts)
        started, times_s = utc_now(), [begun_s, time.monotonic()]
        progress.note_start(run, result=entry["result"], attempt=attempt)
        seen = None
        try:
            seen = begin(job, run)
            measure(job, run, seen)
            times_s.append(time.monotonic())
            keep_provenance(job, seen, run, results)
            result = assemble(job, seen, run, results)
        except (BackendError, InputError) as error:
            reason = error.reason if isinstance(error, BackendError) else "input_error"
            health.note_failure(run, job.settings["backend"], reason)
            record = write_record(
                job, error, reason, started=started, results=results, log=log, seen=seen
            )
            retry = reason in failures.RETRIED and attempt - first < len(failures.BACKOFF_S)
            if not retry:
                raise UserError(
                    f"{experiment} cycle {cycle} failed: {reason}: {error}; record: {record}, "
                    f"log: {log}; the same command measures what is missing"
                ) from error
            LOG.warning("attempt %d failed: %s: %s", attempt, reason, error)
            time.sleep(failures.BACKOFF_S[attempt - first])
        else:
            write_result(output, result)
            with unharmed():
                health.note_success(run, job.settings["backend"])
                times_s.append(time.monotonic())
                # begin, imports, measuring, writing
                LOG.info("times_s %s waited_s %.3f", json.dumps(times_s), seen.waited_s)
                duration_s = times_s[-1] - begun_s - seen.waited_s
                progress.note_duration(run, experiment=experiment, duration_s=duration_s)
                print(progress.line(run, result, results=results), file=sys.stderr)
            return


@contextmanager
def unharmed() -> Iterator[None]:
    """Inside it nothing fails the job: Snakemake deletes the result of a job that fails."""
    try:
        yield
    except Exception:
        LOG.exception("the result is written; telling of it failed")


def begin(job: Job, run: Run) -> Observation:
    """Make ready to measure once, with the code that the run started with."""
    if code_digest(SCRIPTS) != run.facts["code_digest"]:
        raise BackendError(
            "code_changed",
            "the measuring code was changed while the campaign runs; start the same command "
            "again to go on with the new code",
            phase="start",
        )
    return prepare(job)


def write_record(
    job: Job,
    error: Exception,
    reason: str,
    *,
    started: str,
    results: Path,
    log: Path,
    seen: Observation | None,
) -> Path:
    """Keep what is known of a failed attempt, with the energy that it took in vain."""
    record = {
        "experiment": job.experiment,
        "cycle": job.cycle,
        "spec_hash": job.facts["spec_hash"],
        "attempt": job.attempt,
        "reason": reason,
        "phase": getattr(error, "phase", "inputs"),
        "message": str(error),
        "log_tail": getattr(error, "log", "").splitlines(),
        "log": str(log),
        "started": started,
        "failed": utc_now(),
        "energy_spent": energy_spent(job, seen),
    }
    return failures.write_failure(results, job.result_path, job.attempt, record)
