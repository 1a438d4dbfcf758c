"""Loads of engines that failed for what was to be loaded: they are not repeated in the same run."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from llm_energy.backends.session import EngineReportedError
from llm_energy.measurement.job import Job
from llm_energy.runs.run import Run
from worker.protocol import ENGINE_ERROR, OUT_OF_MEMORY
from worker.serving.faults import NOT_STARTED, UNFIT

SETTLED = frozenset({ENGINE_ERROR, OUT_OF_MEMORY, NOT_STARTED, UNFIT})
"""Reasons that lie in what was to be loaded, for which every other load would fail too. An engine
that died or missed its deadline may do better another time, and so may the infrastructure."""


@dataclass(frozen=True)
class KnownLoad:
    """The first load of an engine in a run that shows if it can be loaded."""

    measurement: str
    reason: str | None = None
    """Code of its failure; None where the engine was loaded."""
    message: str = ""


@contextmanager
def noted(run: Run, job: Job) -> Iterator[None]:
    """Load inside it: keep that the engine can be loaded, or why it cannot.

    Where it once was loaded, what it is explains no later failure: the next job tries again.
    """
    try:
        yield
    except EngineReportedError as failure:
        if failure.reason in SETTLED:
            _keep(run, job, KnownLoad(_name(job), failure.reason, str(failure)))
        raise
    _keep(run, job, KnownLoad(_name(job)))


def refuse(run: Run, job: Job, *, outcomes: Collection[str] = ()) -> None:
    """Refuse to load an engine again whose load failed in this run for what it is.

    Args:
        outcomes: reasons that are not refused, since they are outcomes of a measurement.

    Raises:
        EngineReportedError: with the reason of that load.
    """
    known = _known(run, job)
    if known is None or known.reason is None or known.reason in outcomes:
        return
    message = f"{known.message} (found by {known.measurement} in this run, and not tried again)"
    raise EngineReportedError(known.reason, message, phase="load")


def _keep(run: Run, job: Job, outcome: KnownLoad) -> None:
    if _known(run, job) is None:
        # An unfit server is one on all devices; what else fails may lie in a set's own GPUs.
        where = run.whole if outcome.reason == UNFIT else run
        where.write(_record(job), outcome)


def _known(run: Run, job: Job) -> KnownLoad | None:
    return run.find(_record(job), KnownLoad) or run.whole.find(_record(job), KnownLoad)


def _record(job: Job) -> str:
    return f"loads/{job.experiment.engine_key}"


def _name(job: Job) -> str:
    return f"{job.experiment.name} cycle {job.cycle}"
