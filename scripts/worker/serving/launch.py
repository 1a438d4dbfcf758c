"""A server as a child of the engine process: its command, its start and its readiness.

It stays in the engine's process group, so that whatever ends the engine process ends it too.
"""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from worker.engines._printed import printed_since
from worker.engines.base import EngineError
from worker.serving.address import Address, query
from worker.serving.faults import ENDED, NOT_STARTED, ServerError
from worker.workload import EngineConfig, ServerConfig

HOST = "127.0.0.1"
LOOK_S = 0.1
"""Time between two looks for a server that starts."""

MOST_PRINTED = 3
"""Lines of a server's output in a message."""


def free_port() -> int:
    """Return a free port of the loopback interface."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def fill(template: str, values: Mapping[str, Any]) -> str:
    """Return a text with `{name}` replaced for each of `values`; other braces stay."""
    for name, value in values.items():
        template = template.replace(f"{{{name}}}", str(value))
    return template


def arguments(options: Mapping[str, Any]) -> list[str]:
    """Return options as arguments of a command: `--name value`; true: `--name`, false: nothing."""
    words = []
    for name, value in options.items():
        if value is True:
            words.append(f"--{name}")
        elif value is not False:
            words += [f"--{name}", str(value)]
    return words


def command_of(config: EngineConfig, server: ServerConfig, port: int) -> list[str]:
    """Return the command that starts a server for this engine configuration."""
    values = places(config, port)
    return [fill(word, values) for word in server.command] + arguments(config.options)


def variables_of(config: EngineConfig, server: ServerConfig, port: int) -> dict[str, str]:
    """Return the environment variables of a server, whose places are filled in too."""
    values = places(config, port)
    return {name: fill(value, values) for name, value in server.variables.items()}


def places(config: EngineConfig, port: int) -> dict[str, Any]:
    """Return the values of the places in a command."""
    return {
        "python": sys.executable,
        "worker": Path(__file__).parents[1],
        "model": config.model_path,
        "host": HOST,
        "port": port,
        "dtype": config.dtype,
        "context_tokens": config.context_tokens,
        "total_context_tokens": config.context_tokens * config.slots,
        "slots": config.slots,
        "seed": config.seed,
    }


class LaunchedServer:
    """A server's process, started for one engine process."""

    def __init__(self, command: Sequence[str], variables: Mapping[str, str], port: int) -> None:
        """Start it.

        Raises:
            EngineError: the command cannot be run.
        """
        self.address = Address(HOST, port)
        self._printed_before = os.fstat(2).st_size
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, env={**os.environ, **variables}
            )
        except OSError as error:
            message = f"the server cannot be started: {command[0]}: {error.strerror}"
            raise EngineError(message) from error

    def wait_until_ready(self, path: str) -> None:
        """Wait until the server answers 200 at `path`; the caller's own deadline ends it.

        Raises:
            ServerError: it ended before, with what it printed: `NOT_STARTED` where it exited by
                itself, as over an argument, and would again; `ENDED` where a signal ended it, or
                another process has its port.
        """
        while True:
            ready = self._is_ready(path)
            if (code := self._process.poll()) is not None:  # another one may listen on its port
                message = f"the server {ended(code)} before it was ready{self.printed()}"
                passing = code < 0 or self._port_is_taken()
                raise ServerError(ENDED if passing else NOT_STARTED, message)
            if ready:
                return
            time.sleep(LOOK_S)

    def _is_ready(self, path: str) -> bool:
        try:
            return query(self.address, path).status == 200
        except ServerError:
            return False

    def _port_is_taken(self) -> bool:
        try:
            self.address.connect().close()
        except ServerError:
            return False
        return True

    def death(self, patience_s: float = 0.0) -> str | None:
        """Return how the server ended, None while it lives; wait for its end as long as given."""
        try:
            code = self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            return None
        return f"the server {ended(code)}{self.printed()}"

    def printed(self) -> str:
        """Return the last lines that it printed, ready to follow a message."""
        lines = [line.strip() for line in printed_since(self._printed_before) if line.strip()]
        return f": {' / '.join(lines[-MOST_PRINTED:])}" if lines else ""

    def stop(self, patience_s: float) -> None:
        """End the server: it may release what it holds, then it is killed."""
        self._process.terminate()
        try:
            self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def ended(code: int) -> str:
    """Return how a process with this exit code ended."""
    return f"ended with exit code {code}" if code >= 0 else f"was ended by signal {-code}"
