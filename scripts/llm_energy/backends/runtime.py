"""The interface of a runtime: how a backend's supervisor is started, reached and ended.

Three of them stand behind this one interface: `process` (a local process in the backend's virtual
environment), `docker` (a container) and `attached` (a container that somebody else keeps). Callers
use `BackendRecord`s and never depend on the runtime.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Protocol

from llm_energy.runs.run import Run
from llm_energy.system.cache import environment_marker, read_marker
from llm_energy.system.errors import InputError
from llm_energy.system.vocabulary import ATTACHED
from worker.records import RecordError, read_record

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
class ContainerSettings:
    """The share of the host that a container gets: the fields of a campaign's `Container`."""

    gpus: str | int | tuple[str, ...] | None
    cpus: float | None
    memory: str | None
    shm_size: str
    ulimits: dict[str, int]
    environment: dict[str, str]
    user: str | None
    read_only: bool


@dataclass(frozen=True)
class DeclaredBackend:
    """A backend as the campaign declares it, written when a run starts."""

    name: str
    runtime: str
    environment_id: str
    container: ContainerSettings
    readable: tuple[str, ...]
    """Absolute paths of the host that its engine reads models from: a folder, and the files of
    models of the user's own one by one, since each may be a link to anywhere."""
    cpu_set: tuple[int, ...] | None = None
    """Numbers of the CPUs of the host that it runs on; None: all."""
    attached: str | None = None
    """Name of the container that runs already; None where a run starts one."""
    secrets: tuple[str, ...] = ()
    """Names of variables with secrets that its engine needs."""


def secrets_of(declared: DeclaredBackend) -> dict[str, str]:
    """Return the variables with secrets that the engine of a backend needs, from those of this
    process.

    Raises:
        BackendError: `backend_refused`: one is not set.
    """
    for name in declared.secrets:
        if not os.environ.get(name):
            message = f"`{declared.name}` needs the environment variable {name}, which is not set"
            raise BackendError("backend_refused", message)
    return {name: os.environ[name] for name in declared.secrets}


@dataclass(frozen=True)
class ReadyEnvironment:
    """The parts of an environment's marker that backends use; the marker may hold more."""

    python: str
    """Path of its interpreter; where it is an image, in there."""
    python_version: str
    engine_version: str
    packages: dict[str, str]
    """Versions by name."""
    environment_hash: str
    image: str | None = None
    """Id of the image, where it is one."""
    reference: str | None = None
    """The image as its user knows it."""


def read_environment(environment_id: str) -> ReadyEnvironment:
    """Read the readiness marker of an environment."""
    marker = environment_marker(environment_id)
    known = {field.name for field in fields(ReadyEnvironment)}
    try:
        content = {key: v for key, v in read_marker(marker).items() if key in known}
        return read_record(ReadyEnvironment, content, str(marker))
    except RecordError as error:
        message = f"{error}; remove {marker} and start the same command again"
        raise BackendError("environment_missing", message) from error
    except InputError as error:
        raise BackendError("environment_missing", str(error)) from error


@dataclass(frozen=True)
class BackendRecord:
    """One started backend, as the run's folder remembers it."""

    name: str
    runtime: str
    environment_id: str
    handle: dict[str, Any]
    """Private to the runtime: identity of the process, or id of the container."""
    container_engine: str | None = None
    """Name and version of the engine that runs its container; None without one."""

    @property
    def attached(self) -> str | None:
        """Name of its container, where that ran already; None otherwise."""
        return str(self.handle["name"]) if self.runtime == ATTACHED else None


class Transport(Protocol):
    """A two-way stream of lines to a supervisor."""

    def send(self, line: bytes) -> None:
        """Send one line. Raises BackendError(`backend_lost`) where the other end is closed."""

    def receive(self, timeout_s: float) -> bytes | None:
        """The next line without its end, None if none came in time.

        Raises BackendError(`backend_lost`) at the end of the stream.
        """

    def close(self) -> None: ...


class Lines:
    """Lines without their end, of bytes that arrive in pieces."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        """So far there is no end of a line: a long one is not searched anew for each piece."""

    def add(self, piece: bytes) -> None:
        self._buffer += piece

    def next(self) -> bytes | None:
        """The next line; None where it is not whole yet."""
        end = self._buffer.find(b"\n", self._searched)
        if end < 0:
            self._searched = len(self._buffer)
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._searched = 0
        return line


class Runtime(Protocol):
    """Starts, reaches and ends the supervisors of backends. The host's paths hold inside too."""

    name: str

    def start(self, declared: DeclaredBackend, run: Run) -> BackendRecord:
        """Start the supervisor of a backend; returns once it listens."""

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
        """End processes and containers of dead runs that no record lists."""

    def check_cuda(self, record: BackendRecord) -> None:
        """Raise BackendError(`cuda_unusable`) where the engine could not use its GPUs."""

    def hung(self, record: BackendRecord) -> bool:
        """Return whether the supervisor is known to hang; where nothing else checks that."""

    def processes(self, record: BackendRecord) -> set[int]:
        """Host ids of all processes of a backend."""


CHECK_CUDA = ("-m", "worker.cuda")
"""Arguments of a backend's interpreter for `Runtime.check_cuda`."""


def refuse_unusable_cuda(exit_code: int, printed: bytes, *, where: str = "") -> None:
    """Raises BackendError(`cuda_unusable`) where `CHECK_CUDA` failed."""
    if exit_code != 0:
        output = printed.decode(errors="replace").strip() or f"exit code {exit_code}"
        raise BackendError("cuda_unusable", f"CUDA cannot be used{where}: {output}")
