"""The engine process: holds one engine and does what its supervisor sends over a private channel.

    python -m worker.engine_process CHANNEL_FD SUPERVISOR_PID

Started in a session of its own, with stdout and stderr in a log file: libraries may print what
they like, events go over the channel only. When the supervisor is gone, whatever killed it, the
whole process group ends, and what left it for a session of its own: the kernel kills this process,
the guard kills what it left behind.
"""

import contextlib
import ctypes
import os
import queue
import select
import signal
import socket
import sys
import threading
import time
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

from worker import protocol
from worker.engine_memory import oom_kills, release_shared_memory, shared_files
from worker.engines.base import Engine, EngineError, find_engine, resolve_options
from worker.harness import RequestError, measure
from worker.orphans import MARK, kill_marked
from worker.protocol import Event, Load, Measure, Request, Steady, Unload
from worker.serving.faults import ServerError
from worker.workload import EngineConfig, Workload

PR_SET_PDEATHSIG = 1
"""prctl(2): the signal this process gets when its parent dies."""


def end_with(supervisor_pid: int, channel: socket.socket) -> None:
    """Have this process group end when the supervisor does.

    The guard is a process, not a thread: native code of an engine may hold the interpreter's lock
    for ever. It is made before any thread, and lives as long as the group.
    """
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != supervisor_pid:
        os._exit(1)
    with contextlib.suppress(OSError):
        # Where memory runs out this process is killed, not its supervisor, which reports it.
        Path("/proc/self/oom_score_adj").write_text("1000")
    before = shared_files()
    if os.fork() == 0:
        hang_up = select.poll()
        hang_up.register(channel, 0)  # reports only that the other end is closed
        hang_up.poll()
        release_shared_memory(os.getpgrp(), before=before)
        kill_marked(MARK, os.environ[MARK])
        os.killpg(0, signal.SIGKILL)


class Channel:
    """Requests in, events out; events may come from any thread."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._requests: queue.SimpleQueue[Request] = queue.SimpleQueue()
        self._host_steady = threading.Event()
        threading.Thread(target=self._read, name="requests", daemon=True).start()

    def _read(self) -> None:
        for line in self._connection.makefile("rb"):
            request = protocol.parse_request(line)
            if isinstance(request, Steady):
                (self._host_steady.set if request.value else self._host_steady.clear)()
            else:
                self._requests.put(request)

    def next_request(self) -> Request:
        return self._requests.get()

    def emit(self, event: Event) -> None:
        with self._lock:
            self._connection.sendall(protocol.encode(event))

    def host_steady(self) -> bool:
        """Return the host's last verdict in this measurement."""
        return self._host_steady.is_set()

    def forget_host_verdict(self) -> None:
        self._host_steady.clear()


def requested(request: Request) -> str:
    """Return the settings that decide how much memory a request needs."""
    if isinstance(request, Load):
        engine = request.engine
        options = "".join(f", {name} {value}" for name, value in engine.options.items())
        size = f"context_tokens {engine.context_tokens}, slots {engine.slots}"
        return f"requested: {size}, dtype {engine.dtype}{options}"
    if isinstance(request, Measure):
        load = request.workload
        size = f"batch_size {load.batch_size}, {load.longest_sequence()} tokens"
        return f"requested: {size} in the longest sequence"
    return "requested: nothing"


class EngineProcess:
    """Holds the engine; answers requests one after the other, each with a final event."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._engine: Engine | None = None
        self._config: EngineConfig | None = None

    def serve(self) -> None:
        """Answer requests until the supervisor requests to unload."""
        while not isinstance(request := self._channel.next_request(), Unload):
            self._channel.emit(self._answer(request))
        if self._engine is not None:
            self._engine.close()

    def _answer(self, request: Request) -> Event:
        kills = oom_kills()
        try:
            if isinstance(request, Load):
                return self._load(request.engine)
            if isinstance(request, Measure):
                return self._measure(request.workload)
            raise RequestError(protocol.BAD_REQUEST, f"not for an engine: {request}")
        except RequestError as fault:
            return protocol.error_event(fault.reason, str(fault))
        except ServerError as error:
            if self._is_out_of_memory(error, kills):
                message = f"{error} ({requested(request)})"
                return protocol.error_event(protocol.OUT_OF_MEMORY, message)
            return protocol.error_event(error.reason, str(error))
        except EngineError as error:
            return protocol.error_event(error.reason, str(error))
        except BaseException as error:  # an engine may raise anything; it must be reported
            traceback.print_exc()
            message = f"{type(error).__name__}: {error}"
            if self._is_out_of_memory(error, kills):
                return protocol.error_event(
                    protocol.OUT_OF_MEMORY, f"{message} ({requested(request)})"
                )
            return protocol.error_event(protocol.ENGINE_ERROR, message)

    def _is_out_of_memory(self, error: BaseException, kills_before: int | None) -> bool:
        """Return True if the error means it, or if the kernel has killed a process for it.

        An engine with processes of its own only finds them gone.
        """
        if self._engine is None:
            return False
        kills = oom_kills()
        killed = kills is not None and kills_before is not None and kills > kills_before
        return killed or self._engine.is_out_of_memory(error)

    def _load(self, config: EngineConfig) -> Event:
        self._engine = find_engine(config.adapter)()
        if config.server is not None:  # all else is the server's to judge
            self._config = config
            return self._loaded(self._engine.load(config))
        options = resolve_options(self._engine.OPTIONS, config.options)
        if conflict := self._engine.conflict(options):
            raise EngineError("option {}: {}".format(*conflict))
        os.environ.update(self._engine.environment(options))
        self._config = replace(config, options=options)
        if config.dtype not in self._engine.DTYPES:
            raise EngineError(f"dtype: must be one of {', '.join(self._engine.DTYPES)}")
        return self._loaded(self._engine.load(self._config))

    def _loaded(self, observed: dict[str, Any]) -> Event:
        assert self._engine is not None
        return {
            "event": "loaded",
            "final": True,
            "t": time.monotonic(),
            "engine_version": self._engine.version(),
            "observed": observed,
        }

    def _measure(self, workload: Workload) -> Event:
        assert self._engine is not None
        assert self._config is not None
        self._channel.forget_host_verdict()
        return measure(
            self._engine,
            self._config,
            workload,
            emit=self._channel.emit,
            host_steady=self._channel.host_steady,
        )


def main(channel_fd: int, supervisor_pid: int) -> None:
    os.set_inheritable(channel_fd, False)
    connection = socket.socket(fileno=channel_fd)
    end_with(supervisor_pid, connection)
    EngineProcess(Channel(connection)).serve()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
