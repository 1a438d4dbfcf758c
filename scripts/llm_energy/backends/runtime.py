"""What a runtime is: the way a backend's supervisor is started, reached and ended.

Two of them stand behind this one interface: `process` (a local process in the backend's virtual
environment) and `docker` (a container). Everything above deals in `BackendRecord`s and never
asks which runtime it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


class BackendError(Exception):
    """A backend that cannot be started, reached or trusted; `reason` is a code for the records."""

    def __init__(self, reason: str, message: str, *, phase: str = "backend", log: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        self.phase = phase
        self.log = log


@dataclass(frozen=True)
class BackendRecord:
    """One started backend, as the run's folder remembers it."""

    name: str
    runtime: str
    environment_id: str
    handle: Mapping[str, Any]
    """What the runtime needs to find it again: pid and start time, or container id."""

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "runtime": self.runtime,
            "environment_id": self.environment_id,
            "handle": dict(self.handle),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "BackendRecord":
        return cls(**value)


class Transport(Protocol):
    """A two-way stream of lines to a supervisor."""

    def send(self, line: bytes) -> None:
        """Send one line. Raises BackendError(`backend_lost`) when nobody takes it."""

    def receive(self, timeout_s: float) -> bytes | None:
        """The next line without its end, None if none came in time.

        Raises BackendError(`backend_lost`) at the end of the stream.
        """

    def close(self) -> None: ...


class Runtime(Protocol):
    """Starts, reaches and ends the supervisors of backends."""

    name: str

    def start(
        self, backend: str, *, environment: Mapping[str, Any], environment_id: str, run_folder: Path
    ) -> BackendRecord:
        """Start the supervisor of `backend`; returns once it answers.

        Args:
            environment: the readiness marker of the backend's environment.

        Raises:
            BackendError: with the last lines of the supervisor's log.
        """

    def connect(self, record: BackendRecord) -> Transport: ...

    def alive(self, record: BackendRecord) -> bool: ...

    def stop(self, record: BackendRecord) -> None:
        """End the supervisor with everything below it; returns when all of it is gone."""

    def model_path(self, path: Path) -> str:
        """Where the backend sees the host's `path` below the model cache."""


def runtime_named(name: str) -> Runtime:
    """The runtime that a campaign's `backends.*.runtime` names."""
    if name == "process":
        from llm_energy.backends.process import ProcessRuntime

        return ProcessRuntime()
    raise BackendError("unknown_runtime", f"there is no runtime `{name}`")
