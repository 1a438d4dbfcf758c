"""From what was observed to the result of a measurement."""

import time
from datetime import UTC, datetime
from pathlib import Path

from llm_energy.measurement import Job, Observation
from llm_energy.power.energy import account_energy
from llm_energy.results import (
    SCHEMA_VERSION,
    Result,
)
from llm_energy.runs import Run, utc_now


def assemble(job: Job, seen: Observation, run: Run, results: Path) -> Result:
    """The result of one measurement; its side files are written, the result itself is not."""
    measured, facts = seen.measured, run.facts
    energy = account_energy(...)
    return Result(
        schema_version=SCHEMA_VERSION,
        protocol_version=job.facts["spec"]["protocol"],
        status="completed" if measured else "out_of_memory",
        message=seen.out_of_memory,
        campaign=facts["campaign"],
        experiment=job.experiment,
        cycle=job.cycle,
        position=job.position,
        attempt=job.attempt,
        started=seen.started,
        finished=utc_now(),
    )


def wall_time(monotonic_s: float) -> str:
    """ISO 8601, UTC, of a moment on CLOCK_MONOTONIC; from one reading of both clocks, now."""
    moment = time.time() - (time.monotonic() - monotonic_s)
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")
