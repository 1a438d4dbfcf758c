"""One engine process, seen from its supervisor."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

from worker import protocol
from worker.engine_memory import (
    find_shared_memory,
    oom_kills,
    release_shared_memory,
    remove,
    shared_files,
)
from worker.orphans import MARK, children, kill_children
from worker.workload import EngineConfig

TAIL_LINES = 40
TAIL_BYTES = 16 * 1024
LOG_LIMIT_BYTES = 64 * 1024 * 1024
"""An engine that floods its output must not fill the disk: beyond this its log starts anew."""

CLOSE_S = 5.0
"""Time that an engine has to release what outlives it, before it is killed."""


GONE_STEP_S, GONE_STEPS = 0.01, 500
"""Interval and number of checks that a killed process group is gone."""


class EngineChild:
    """A running engine process with its channel, its log and its count of jobs."""

    def __init__(
        self,
        key: str,
        config: EngineConfig,
        process: asyncio.subprocess.Process,
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        log: Path,
    ) -> None:
        self.key = key
        self.config = config
        self.log = log
        self.jobs = 0
        self.started = time.monotonic()
        self._shared_before = shared_files()
        self.facts: dict[str, Any] = {}
        """`engine_version` and `observed`, known once it is loaded."""
        self._process = process
        self._reader, self._writer = streams
        self._killed = False
        self._oom_kills = oom_kills()
        self._reaper = asyncio.create_task(self._reap())

    @classmethod
    async def start(cls, key: str, config: EngineConfig, log: Path) -> "EngineChild":
        """Start the process; nothing is loaded yet."""
        ours, theirs = socket.socketpair()
        log.write_bytes(b"")
        with theirs, log.open("ab") as output:  # appending, so that it can start anew
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "worker.engine_process"),
                *(str(theirs.fileno()), str(os.getpid())),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, MARK: f"{os.getpid()}-{time.monotonic_ns()}"},
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        streams = await asyncio.open_connection(sock=ours, limit=protocol.MAX_LINE_BYTES)
        return cls(key, config, process, streams, log)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    @property
    def age_s(self) -> float:
        return time.monotonic() - self.started

    def send(self, line: bytes) -> None:
        """Send without waiting; `receive` shows if the process is alive and in time."""
        self._writer.write(line)

    async def receive(self, timeout_s: float) -> bytes:
        """Return the next line; empty once the process is dead and its output has been read.

        Raises:
            asyncio.TimeoutError: no line came in time.
        """
        try:
            return await asyncio.wait_for(self._reader.readline(), max(0.0, timeout_s))
        except (ConnectionError, ValueError):  # broken, or a line beyond the limit
            await self.kill()
            return b""

    async def close(self) -> None:
        """Let the engine release what outlives it, then end its whole process group."""
        # An engine that kills its own processes leaves behind what only they had open.
        shared = find_shared_memory(self.pid, before=self._shared_before)
        if self.alive:
            self.send(protocol.encode({"op": "unload"}))
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._reaper), CLOSE_S)
        await self.kill()
        remove(shared)

    async def kill(self) -> None:
        """SIGKILL to the whole process group; returns when it is gone."""
        if self.alive:
            self._killed = True
            self._kill_group()
        await self._reaper
        self._writer.close()

    def cause_of_death(self) -> tuple[str, str]:
        """Return reason code and message for a process that ended unexpectedly."""
        code = self._process.returncode
        if code is None or code >= 0:
            return protocol.ENGINE_DIED, f"the engine process ended with exit code {code}"
        if -code == signal.SIGKILL and not self._killed and self._kernel_may_have_killed():
            message = "the engine process was killed because memory ran out"
            return protocol.OUT_OF_MEMORY, message
        return protocol.ENGINE_DIED, f"the engine process was ended by {signal.Signals(-code).name}"

    def _kernel_may_have_killed(self) -> bool:
        before, now = self._oom_kills, oom_kills()
        return before is None or now is None or now > before

    def log_tail(self) -> tuple[str, ...]:
        """Return the last lines that the engine and its libraries printed."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
                text = file.read().decode(errors="replace")
        except OSError:
            return ()
        return tuple(text.splitlines()[-TAIL_LINES:])

    def bound_log(self) -> None:
        """Start the log anew where it has become too long."""
        with contextlib.suppress(OSError):
            if self.log.stat().st_size > LOG_LIMIT_BYTES:
                os.truncate(self.log, 0)

    async def _reap(self) -> None:
        await self._process.wait()
        self._kill_group()  # its children and its guard, which hold the channel open
        # What went into sessions of its own (MPI's workers may) is an orphan now, hence ours.
        for _ in range(GONE_STEPS):
            with contextlib.suppress(ChildProcessError):
                os.waitpid(-self.pid, os.WNOHANG)  # orphans are ours to reap
            kill_children()
            try:
                os.killpg(self.pid, 0)
            except ProcessLookupError:
                if not children():
                    return
            await asyncio.sleep(GONE_STEP_S)

    def _kill_group(self) -> None:
        release_shared_memory(self.pid, before=self._shared_before)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
