"""What a supervisor does: answers requests, and owns the engine that they need."""

import asyncio
import contextlib
import os
import time
from pathlib import Path
from typing import NoReturn

from worker import protocol
from worker.child import EngineChild
from worker.protocol import (
    Event,
    Hello,
    Load,
    Measure,
    ProtocolError,
    Request,
    Steady,
    Stop,
    Unload,
)

KEEPS_ENGINE = {protocol.BAD_REQUEST, protocol.CONTEXT_EXCEEDED}
"""Failures found before the engine was touched; after any other its state is unknown."""


class RequestFailedError(Exception):
    """A request that failed; carries its error event."""

    def __init__(self, event: Event) -> None:
        super().__init__(event["message"])
        self.event = event


class Connection:
    """One client, which may be gone already."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self.lost = False

    async def send(self, line: bytes) -> None:
        with contextlib.suppress(ConnectionError):  # its end is noticed where it is read
            self._writer.write(line)
            await self._writer.drain()

    async def send_event(self, event: Event) -> None:
        await self.send(protocol.encode(event))


class Supervisor:
    """Answers connections; holds the one engine, lets one request at a time use it."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._started = time.monotonic()
        self._jobs = 0
        self._engine: EngineChild | None = None
        self._turn = asyncio.Lock()
        """Held by the one request that uses the engine; each ends by its own deadline."""
        self._user: Connection | None = None
        """Who holds the turn."""
        self._stopping = False
        self.stopped = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection from its first line to its end."""
        connection = Connection(writer)
        lines: asyncio.Queue[bytes | None] = asyncio.Queue()
        answers = asyncio.create_task(self._answer_all(connection, lines))
        with contextlib.suppress(ConnectionError):
            while line := await _read_line(reader):
                if self._user is connection and self._engine and _is_steady(line):
                    await self._engine.send(line)
                else:
                    lines.put_nowait(line)
        connection.lost = True
        if self._user is connection and self._engine:
            await self._engine.kill()  # nobody is left to measure it
        lines.put_nowait(None)
        await answers
        writer.close()

    async def _answer_all(
        self, connection: Connection, lines: "asyncio.Queue[bytes | None]"
    ) -> None:
        while (line := await lines.get()) is not None:
            if connection.lost:
                continue
            try:
                await self._answer(connection, line)
            except ProtocolError as error:
                await connection.send_event(protocol.error_event(protocol.BAD_REQUEST, str(error)))
            except RequestFailedError as failure:
                await connection.send_event(failure.event)

    async def _answer(self, connection: Connection, line: bytes) -> None:
        request = protocol.parse_request(line)
        if self._stopping:
            _fail(protocol.STOPPING, "the supervisor is stopping")
        if isinstance(request, Hello):
            await connection.send_event(self._hello(request))
        elif isinstance(request, Stop):
            await self.stop()
            await connection.send_event({"event": "stopping", "final": True})
            self.stopped.set()
        elif not isinstance(request, Steady):  # one that is late has nobody to go to
            async with self._turn:
                self._user = connection
                try:
                    await self._use_engine(connection, request, line)
                finally:
                    self._user = None
                    if connection.lost:
                        await self._drop_engine()

    async def _use_engine(self, connection: Connection, request: Request, line: bytes) -> None:
        try:
            if isinstance(request, Load):
                await connection.send_event(await self._load(connection, request, line))
            elif isinstance(request, Measure):
                await self._measure(connection, request, line)
            elif isinstance(request, Unload):
                await self._unload()
                await connection.send_event({"event": "unloaded", "final": True})
        except RequestFailedError as failure:
            # After a failed load there is no engine to keep.
            if isinstance(request, Load) or failure.event["reason"] not in KEEPS_ENGINE:
                await self._drop_engine()
            raise

    def _hello(self, request: Hello) -> Event:
        if request.protocol != protocol.PROTOCOL:
            message = f"this worker speaks protocol {protocol.PROTOCOL}, not {request.protocol}"
            _fail(protocol.PROTOCOL_MISMATCH, message)
        engine = self._engine
        return {
            "event": "hello",
            "final": True,
            "protocol": protocol.PROTOCOL,
            "pid": os.getpid(),
            "age_s": time.monotonic() - self._started,
            "jobs": self._jobs,
            "engine": None
            if engine is None or not engine.alive
            else {
                "key": engine.key,
                "backend": engine.config.backend,
                "pid": engine.pid,
                "age_s": engine.age_s,
                "jobs": engine.jobs,
            },
        }

    async def _load(self, connection: Connection, request: Load, line: bytes) -> Event:
        engine = self._engine
        wanted = (request.key, request.engine)
        reused = engine is not None and engine.alive and (engine.key, engine.config) == wanted
        if not reused:
            await self._unload()
            log = self._logs / f"{request.engine.backend}.engine.log"
            engine = await EngineChild.start(request.key, request.engine, log)
            self._engine = engine
            if connection.lost:
                _fail(protocol.STOPPING, "the client is gone")
            await engine.send(line)
            loaded = await self._relay(connection, engine, request.deadline_s, phase="load")
            engine.facts = protocol.decode(loaded)
        assert engine is not None
        facts = engine.facts
        return {
            "event": "loaded",
            "final": True,
            "t": time.monotonic(),
            "load_started": None if reused else engine.started,
            "load_s": None if reused else facts["t"] - engine.started,
            "reused": reused,
            "engine_pid": engine.pid,
            "engine_age_s": engine.age_s,
            "engine_jobs": engine.jobs,
            "engine_version": facts["engine_version"],
            "observed": facts["observed"],
        }

    async def _measure(self, connection: Connection, request: Measure, line: bytes) -> None:
        engine = self._engine
        if engine is None:
            _fail(protocol.NO_ENGINE, "no engine is loaded")
        if connection.lost:
            _fail(protocol.STOPPING, "the client is gone")
        await engine.send(line)
        engine.jobs += 1
        self._jobs += 1
        first_wave_s = request.workload.warmup.first_wave_deadline_s
        measured = await self._relay(
            connection, engine, request.deadline_s, phase="measure", first_wave_s=first_wave_s
        )
        await connection.send(measured)

    async def _relay(
        self,
        connection: Connection,
        engine: EngineChild,
        deadline_s: float,
        *,
        phase: str,
        first_wave_s: float | None = None,
    ) -> bytes:
        """Pass the engine's events on; returns its final one, which is not passed on.

        Raises:
            RequestFailedError: the engine failed, died, or missed a deadline (then it is killed).
        """
        deadline = time.monotonic() + deadline_s
        limit, limit_s = deadline, deadline_s
        while True:
            try:
                line = await engine.receive(limit - time.monotonic())
            except asyncio.TimeoutError:
                await engine.kill()
                message = f"not done within {limit_s:g} s: the engine process was killed"
                _fail(protocol.DEADLINE_EXCEEDED, message, phase=phase, engine=engine)
            if not line:
                await engine.kill()
                if self._stopping:
                    _fail(protocol.STOPPING, "the supervisor was told to stop", phase=phase)
                reason, message = engine.cause_of_death()
                _fail(reason, message, phase=phase, engine=engine)
            event = protocol.decode(line)
            if event["event"] == "error":
                _fail(event["reason"], event["message"], phase=phase, engine=engine)
            if event.get("final"):
                return line
            if event["event"] == "phase":
                phase = event["name"]
                if phase == "warmup" and first_wave_s is not None:
                    phase = "first_wave"
                    limit_s = min(first_wave_s, deadline - time.monotonic())
                    limit = time.monotonic() + limit_s
            elif event["event"] == "wave" and phase == "first_wave":
                phase, limit, limit_s = "warmup", deadline, deadline_s
            await connection.send(line)

    async def _unload(self) -> None:
        if self._engine is not None:
            await self._engine.close()
            self._engine = None

    async def _drop_engine(self) -> None:
        if self._engine is not None:
            await self._engine.kill()
            self._engine = None

    def check_log(self) -> None:
        if self._engine is not None:
            self._engine.bound_log()

    async def stop(self) -> None:
        """Kill the engine and refuse what comes; who was waiting for it is told."""
        self._stopping = True
        if self._engine is not None:
            await self._engine.kill()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._turn.acquire(), timeout=1.0)
            self._turn.release()


def _fail(
    reason: str, message: str, *, phase: str | None = None, engine: EngineChild | None = None
) -> NoReturn:
    log_tail = engine.log_tail() if engine is not None else ()
    raise RequestFailedError(protocol.error_event(reason, message, phase=phase, log_tail=log_tail))


async def _read_line(reader: asyncio.StreamReader) -> bytes:
    """The next line; empty at the end of the stream, also where it ends within a line."""
    try:
        line = await reader.readline()
    except ValueError:  # longer than any request: what follows makes no sense either
        return b""
    return line if line.endswith(b"\n") else b""


def _is_steady(line: bytes) -> bool:
    try:
        return isinstance(protocol.parse_request(line), Steady)
    except ProtocolError:
        return False
