"""Dispatch by exec: the worker's client, run in a living container, as a transport of lines.

docker-py's `exec_run` knows no deadline, so the low-level calls are used: the connection is read
with one. Closing it ends the client, by which the supervisor notices that the host is gone.
"""

import contextlib
import time
from collections.abc import Sequence

import docker

from llm_energy.backends.runtime import BackendError, Lines
from llm_energy.containers.engine import DockerError, docker_errors
from llm_energy.containers.stream import STDERR, Stream

CANNOT_CONNECT = 3
"""Exit code of the worker's client where no supervisor listens."""

ERRORS_KEPT_BYTES = 4096


class ExecTransport:
    """Lines to and from a supervisor, through a client executed in its container.

    Args:
        client: closed with the transport.
    """

    def __init__(
        self, client: docker.DockerClient, container: str, command: Sequence[str], backend: str
    ) -> None:
        self._client = client
        self._backend = backend
        self._lines = Lines()
        self._errors = bytearray()
        try:
            with docker_errors():
                created = client.api.exec_create(container, list(command), stdin=True)
                self._exec = created["Id"]
                self._stream = Stream(client.api.exec_start(self._exec, socket=True))
        except DockerError as error:
            client.close()
            message = f"backend `{backend}` cannot be reached in its container: {error}"
            raise BackendError("backend_lost", message) from error

    def send(self, line: bytes) -> None:
        try:
            self._stream.send(line + b"\n")
        except OSError as error:
            raise self._lost() from error

    def receive(self, timeout_s: float) -> bytes | None:
        deadline = time.monotonic() + timeout_s
        while (line := self._lines.next()) is None:
            try:
                frame = self._stream.receive(deadline)
            except EOFError as error:
                raise self._lost() from error
            if frame is None:
                return None
            if frame.stream == STDERR:
                self._errors = (self._errors + frame.content)[-ERRORS_KEPT_BYTES:]
            else:
                self._lines.add(frame.content)
        return line

    def close(self) -> None:
        self._stream.end_input()
        with contextlib.suppress(EOFError):
            # The client ends with its input. Not waiting for it for ever: it may be stopped.
            deadline = time.monotonic() + 2.0
            while self._stream.receive(deadline) is not None:
                pass
        self._stream.close()
        self._client.close()

    def _lost(self) -> BackendError:
        stderr = self._errors.decode(errors="replace").strip()
        code = None
        with contextlib.suppress(DockerError), docker_errors():
            code = self._client.api.exec_inspect(self._exec)["ExitCode"]
        what = "does not listen" if code == CANNOT_CONNECT else "was lost"
        return BackendError(
            "backend_lost", f"the supervisor of `{self._backend}` {what}", log=stderr
        )
