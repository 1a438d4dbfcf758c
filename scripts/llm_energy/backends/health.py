"""A circuit breaker for each backend of a run.

Infrastructure that fails again and again would cost every remaining measurement its attempts. The
breaker lets them fail at once and with a clear reason, while other backends go on.
"""

from dataclasses import dataclass

from llm_energy.backends.runtime import BackendError
from llm_energy.results.failures import RETRIED
from llm_energy.runs.campaign_status import BackendHealth
from llm_energy.runs.run import Run

LIMIT = 6
"""Failures of its infrastructure in a row after which a backend is given up for the run: two
measurements with all their attempts."""

SILENT = "docker_unreachable"
"""Such a failure weighs two, because each attempt already waited for the Docker engine: one
measurement with all its attempts is enough."""


@dataclass(frozen=True)
class Failed:
    """Failures in a row of a backend's infrastructure."""

    failures: int = 0
    weight: int = 0
    reason: str | None = None
    """Reason code of the last one."""


def note_failure(run: Run, backend: str, reason: str) -> None:
    """Count an attempt that failed, if the infrastructure failed it."""
    if reason not in RETRIED:
        return
    known = _known(run, backend)
    weight = known.weight + (2 if reason == SILENT else 1)
    run.write(f"health/{backend}", Failed(known.failures + 1, weight, reason))
    if known.weight < LIMIT <= weight:
        run.add_event("backend_given_up", backend=backend, reason=reason)


def note_success(run: Run, backend: str) -> None:
    """Reset the count after a measurement that succeeded."""
    if _known(run, backend).failures:
        run.write(f"health/{backend}", Failed())


def given_up(run: Run, backend: str) -> bool:
    """Return whether it failed too often in a row."""
    return _known(run, backend).weight >= LIMIT


def failing(run: Run, backend: str) -> bool:
    """Return whether its last measurement failed by its infrastructure."""
    return _known(run, backend).failures > 0


def of(run: Run, backend: str) -> BackendHealth:
    """Return the health of a backend in numbers."""
    failures = _known(run, backend).failures
    return BackendHealth(failures == 0, failures)


def refuse_broken(run: Run, backend: str) -> None:
    """Raises BackendError(`backend_broken`) for a backend that is given up."""
    if given_up(run, backend):
        known = _known(run, backend)
        raise BackendError(
            "backend_broken",
            f"backend `{backend}` failed {known.failures} times in a row (last: "
            f"{known.reason}) and is given up in this run; mend it and start the same command",
        )


def _known(run: Run, backend: str) -> Failed:
    return run.find(f"health/{backend}", Failed) or Failed()
