"""The `process` runtime: a supervisor as a local process in the backend's virtual environment.

It runs in a session of its own, so that Ctrl-C in the terminal does not reach it, with its output
in files. It ends when it is stopped, or by itself when its lease is not renewed.
"""

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from llm_energy.backends.runtime import (
    CHECK_CUDA,
    SCRIPTS,
    BackendError,
    BackendRecord,
    DeclaredBackend,
    Lines,
    Transport,
    read_environment,
    refuse_unusable_cuda,
    secrets_of,
    worker_variables,
)
from llm_energy.runs.run import Run
from llm_energy.system.processes import ProcessId, descendants
from llm_energy.system.variables import passed_on, with_decisive
from llm_energy.system.vocabulary import PROCESS
from worker.orphans import RUN_MARK, kill_marked

START_S = 30.0
"""Deadline for a supervisor to listen: it imports the standard library only."""


def worker_environment(
    gpus: Sequence[str] = (),
    *,
    variables: Mapping[str, str] | None = None,
    secrets: Collection[str] = (),
) -> dict[str, str]:
    """Environment of everything that runs in a backend: our worker code, offline, no secrets.

    Args:
        gpus: UUIDs of the only GPUs that it sees.
        variables: those of the user that may change what an engine does; None: of this process.
        secrets: variables that it gets all the same.
    """
    kept = passed_on(os.environ, secrets=secrets)
    if variables is not None:
        kept = with_decisive(kept, variables)
    visible = {"CUDA_VISIBLE_DEVICES": ",".join(gpus)} if gpus else {}
    return kept | visible | worker_variables(str(SCRIPTS))


def last_lines(path: Path, count: int = 10) -> str:
    """The last lines of a log file, for a message; empty if there is none."""
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-count:])
    except OSError:
        return ""


def start_detached(
    command: Sequence[str],
    *,
    folder: Path,
    log: Path,
    environment: Mapping[str, str],
) -> subprocess.Popen[bytes]:
    """Start a process of a run in `folder`, in a session of its own, with its output in `log`."""
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=folder,
            env=environment,
            start_new_session=True,
        )


class ProcessRuntime:
    name = PROCESS

    def start(self, declared: DeclaredBackend, run: Run) -> BackendRecord:
        backend = declared.name
        socket = Path(run.record.sockets) / f"{backend}.sock"
        log = run.folder / f"{backend}.supervisor.log"
        command = [read_environment(declared.environment_id).python, "-m", "worker.supervisor"]
        command += ["--socket", str(socket), "--lease", str(run.lease), "--log", str(run.folder)]
        gpus = declared.container.gpus
        # A process gets all, except of a run that has some of them.
        own = gpus if isinstance(gpus, tuple) else ()
        environment = worker_environment(
            own, variables=run.record.variables, secrets=secrets_of(declared)
        )
        environment[RUN_MARK] = run.run_id
        process = start_detached(command, folder=run.folder, log=log, environment=environment)
        if declared.cpu_set:
            with contextlib.suppress(OSError):  # it has ended at once
                os.sched_setaffinity(process.pid, declared.cpu_set)
        deadline = time.monotonic() + START_S
        while not socket.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                process.wait()
                message = f"the supervisor of backend `{backend}` did not start; log: {log}"
                raise BackendError("backend_start_failed", message, log=last_lines(log))
            time.sleep(0.005)
        identity = ProcessId.of(process.pid)
        if identity is None:
            raise BackendError("backend_start_failed", f"`{backend}` ended at once; log: {log}")
        handle = {"process": identity.to_json(), "socket": str(socket), "python": command[0]}
        handle["gpus"] = list(own)  # as it is read again: records are compared
        return BackendRecord(backend, self.name, declared.environment_id, handle)

    def connect(self, record: BackendRecord) -> Transport:
        command = [record.handle["python"], "-m", "worker.client", record.handle["socket"]]
        return self.execute(record, command)

    def execute(self, record: BackendRecord, command: Sequence[str]) -> Transport:
        return ClientTransport(record.name, command)

    def alive(self, record: BackendRecord) -> bool:
        return self._process(record).alive()

    def stop(self, record: BackendRecord) -> None:
        process = self._process(record)
        # Its SIGTERM handler kills the engine's process group before it ends. If it does not
        # listen, the engine still ends with it: it has a parent-death signal.
        process.end(patience_s=5.0)
        Path(record.handle["socket"]).unlink(missing_ok=True)

    def restart(self, record: BackendRecord) -> bool:  # noqa: ARG002
        return False  # a new process is a new backend

    def sweep(self, run: Run) -> None:
        """Kill what outlived its supervisor: a process in a session of its own does, where the
        engine's guard was killed too."""
        kill_marked(RUN_MARK, run.run_id)

    def reap(self) -> None:
        """Nothing: a supervisor without a run ends with its lease."""

    def check_cuda(self, record: BackendRecord) -> None:
        done = subprocess.run(
            [record.handle["python"], *CHECK_CUDA],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=worker_environment(record.handle["gpus"]),
            start_new_session=True,
        )
        refuse_unusable_cuda(done.returncode, done.stdout)

    def hung(self, _: BackendRecord) -> bool:
        return False  # the session's deadlines find it

    def processes(self, record: BackendRecord) -> set[int]:
        return descendants(self._process(record).pid)

    @staticmethod
    def _process(record: BackendRecord) -> ProcessId:
        return ProcessId.from_json(record.handle["process"])


class ClientTransport:
    """The worker's client as a child process: the same lines over stdio as in a container."""

    def __init__(self, backend: str, command: Sequence[str]) -> None:
        self._backend = backend
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=worker_environment(),
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input, self._output = self._process.stdin, self._process.stdout
        self._lines = Lines()

    def send(self, line: bytes) -> None:
        try:
            self._input.write(line + b"\n")
            self._input.flush()
        except OSError as error:
            raise self._lost() from error

    def receive(self, timeout_s: float) -> bytes | None:
        deadline = time.monotonic() + timeout_s
        while (line := self._lines.next()) is None:
            wait_s = max(0.0, deadline - time.monotonic())
            if not select.select([self._output], [], [], wait_s)[0]:
                return None
            chunk = os.read(self._output.fileno(), 1 << 16)
            if not chunk:
                raise self._lost()
            self._lines.add(chunk)
        return line

    def close(self) -> None:
        with contextlib.suppress(OSError):  # it has ended already
            self._input.close()
        try:
            self._process.wait(timeout=2.0)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._output.close()

    def _lost(self) -> BackendError:
        return BackendError("backend_lost", f"the connection to backend `{self._backend}` was lost")
