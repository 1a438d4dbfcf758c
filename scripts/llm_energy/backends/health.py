"""Which backends of a run can still be trusted: a circuit breaker for each.

Infrastructure that fails again and again would cost every remaining measurement its attempts. The
breaker lets them fail at once and with a clear reason, while other backends go on.
"""

from llm_energy.backends.runtime import BackendError
from llm_energy.failures import RETRIED
from llm_energy.runs import Run

LIMIT = 6
"""Failures of its infrastructure in a row after which a backend is given up for the run: two
measurements with all their attempts."""


def note_failure(run: Run, backend: str, reason: str) -> None:
    """Count a failure if it lies in the infrastructure."""
    if reason not in RETRIED:
        return
    failures = count(run, backend) + 1
    run.write(f"health/{backend}", {"failures": failures, "reason": reason})
    if failures == LIMIT:
        run.add_event("backend_given_up", backend=backend, reason=reason)


def note_success(run: Run, backend: str) -> None:
    """A measurement went well: what failed before does not count any more."""
    if count(run, backend):
        run.write(f"health/{backend}", {"failures": 0, "reason": None})


def count(run: Run, backend: str) -> int:
    """Failures in a row, up to now."""
    known = run.read(f"health/{backend}")
    return 0 if known is None else int(known["failures"])


def refuse_broken(run: Run, backend: str) -> None:
    """Raises BackendError(`backend_broken`) for a backend that is given up."""
    known = run.read(f"health/{backend}")
    if known is not None and known["failures"] >= LIMIT:
        raise BackendError(
            "backend_broken",
            f"backend `{backend}` failed {known['failures']} times in a row (last: "
            f"{known['reason']}) and is given up in this run; mend it and start the same command",
        )
