"""The interface of a runtime: how a backend's supervisor is started, reached and ended.

Two of them stand behind this one interface: `process` (a local process in the backend's virtual
environment) and `docker` (a container). Callers use `BackendRecord`s and never depend
on the runtime.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from llm_energy.runs.run import Run

SCRIPTS = Path(__file__).parents[2]
"""Folder of the worker's code."""


def worker_variables(code: str) -> dict[str, str]:
    """Environment variables that the worker needs wherever it runs: its code at `code`, offline."""
    return {"PYTHONPATH": code, "PYTHONDONTWRITEBYTECODE": "1", "HF_HUB_OFFLINE": "1"}


class BackendError(Exception):
    """A backend that cannot be started, reached or trusted; `reason` is a code for the records."""

    def __init__(self, reason: str, message: str, *, phase: str = "backend", log: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        self.phase = phase
        self.log = log


@dataclass(frozen=True)
class DeclaredBackend:
    """A backend as the campaign declares it, with its environment made ready."""

    name: str
    runtime: str
    environment_id: str
    environment: Mapping[str, Any]
    """The readiness marker of its environment."""
    container: Mapping[str, Any]
    """Options of its container; see `Container` in campaign/schema.py."""
    readable: Sequence[str]
    """Absolute paths of the host that its engine reads models from."""


@dataclass(frozen=True)
class BackendRecord:
    """One started backend, as the run's folder remembers it."""

    name: str
    runtime: str
    environment_id: str
    handle: Mapping[str, Any]
    """Identity of the process or container: pid and start time, or container id."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

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
    """Starts, reaches and ends the supervisors of backends. The host's paths hold inside too."""

    name: str

    def start(self, declared: DeclaredBackend, run: Run) -> BackendRecord:
        """Start the supervisor of a backend; returns once it listens.

        Raises:
            BackendError: with the last lines of the supervisor's log.
        """

    def connect(self, record: BackendRecord) -> Transport:
        """A conversation with the supervisor of a backend."""

    def execute(self, record: BackendRecord, command: Sequence[str]) -> Transport:
        """Run a command where the engine runs; it ends with its stdin."""

    def alive(self, record: BackendRecord) -> bool: ...

    def restart(self, record: BackendRecord) -> bool:
        """Restart what cannot answer, under the same record; False where that did not help."""

    def stop(self, record: BackendRecord) -> None:
        """End the supervisor with everything below it; returns when all of it is gone."""

    def sweep(self, run: Run) -> None:
        """End what was started for `run` and never entered in its records."""

    def reap(self) -> None:
        """End what runs that are proven dead left behind and no record tells of."""

    def check_cuda(self, record: BackendRecord) -> None:
        """Raises BackendError(`cuda_unusable`) where the engine could not use its GPUs."""

    def processes(self, record: BackendRecord) -> set[int]:
        """Host ids of all processes of a backend."""


CHECK_CUDA = ("-m", "worker.cuda")
"""Arguments of a backend's interpreter for `Runtime.check_cuda`."""


def refuse_unusable_cuda(exit_code: int, printed: bytes, *, where: str = "") -> None:
    """Judge how `CHECK_CUDA` ended.

    Raises:
        BackendError: `cuda_unusable`.
    """
    if exit_code != 0:
        output = printed.decode(errors="replace").strip() or f"exit code {exit_code}"
        raise BackendError("cuda_unusable", f"CUDA cannot be used{where}: {output}")
