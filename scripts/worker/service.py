"""Answer requests to a supervisor, with the engine process that it owns."""

import asyncio
import contextlib
import os
import time
from pathlib import Path

from worker import protocol
from worker.child import EngineChild
from worker.code_digest import digest_of
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
from worker.relay import Connection, RequestFailedError, fail, relay
from worker.workload import is_backend_name

KEEPS_ENGINE = {protocol.BAD_REQUEST, protocol.CONTEXT_EXCEEDED}
"""Failures found before the engine was touched; after any other its state is unknown."""

HANG_UP_STEP_S, HANG_UP_STEPS = 0.01, 100


class Supervisor:
    """Answers connections; holds the one engine, lets one request at a time use it."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._started = time.monotonic()
        self._code = digest_of(Path(__file__).parent)
        self._jobs = 0
        self._engine: EngineChild | None = None
        self._turn = asyncio.Lock()
        """Held by the one request that uses the engine; each ends by its own deadline."""
        self._user: Connection | None = None
        """The connection that holds the turn."""
        self._connections: set[Connection] = set()
        self._left = self._started
        """When the last connection ended."""
        self._stopping = False
        self.stopped = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection from its first line to its end."""
        connection = Connection(reader, writer)
        self._connections.add(connection)
        lines: asyncio.Queue[bytes | None] = asyncio.Queue()
        answers = asyncio.create_task(self._answer_all(connection, lines))
        while line := await connection.receive():
            if self._user is connection and self._engine and _is_steady(line):
                self._engine.send(line)
            else:
                lines.put_nowait(line)
        if self._user is connection and self._engine:
            await self._engine.kill()  # its client is gone
        lines.put_nowait(None)
        await answers
        connection.close()
        self._connections.discard(connection)
        self._left = time.monotonic()

    async def _answer_all(
        self, connection: Connection, lines: "asyncio.Queue[bytes | None]"
    ) -> None:
        while (line := await lines.get()) is not None:
            if connection.lost:
                continue
            try:
                await self._answer(connection, line)
            except ProtocolError as error:
                connection.send_event(protocol.error_event(protocol.BAD_REQUEST, str(error)))
            except RequestFailedError as failure:
                connection.send_event(failure.event)

    async def _answer(self, connection: Connection, line: bytes) -> None:
        request = protocol.parse_request(line)
        if self._stopping:
            fail(protocol.STOPPING, "the supervisor is stopping")
        if isinstance(request, Hello):
            connection.send_event(self._hello(request))
        elif isinstance(request, Stop):
            await self.stop()
            connection.send_event({"event": "stopping", "final": True})
            self.stopped.set()
        elif not isinstance(request, Steady):  # a late one has no measurement to go to
            async with self._turn:
                if connection.lost:
                    return
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
                connection.send_event(await self._load(connection, request, line))
            elif isinstance(request, Measure):
                await self._measure(connection, request, line)
            elif isinstance(request, Unload):
                await self._unload()
                connection.send_event({"event": "unloaded", "final": True})
        except RequestFailedError as failure:
            # After a failed load there is no engine to keep.
            if isinstance(request, Load) or failure.event["reason"] not in KEEPS_ENGINE:
                await self._drop_engine()
            if self._stopping:
                fail(protocol.STOPPING, "the supervisor is stopping")
            raise

    def _hello(self, request: Hello) -> Event:
        if request.protocol != protocol.PROTOCOL:
            message = f"this worker speaks protocol {protocol.PROTOCOL}, not {request.protocol}"
            fail(protocol.PROTOCOL_MISMATCH, message)
        engine = self._engine
        return {
            "event": "hello",
            "final": True,
            "protocol": protocol.PROTOCOL,
            "pid": os.getpid(),
            "code": self._code,
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
            self._engine = engine = await self._start_engine(request)
            if connection.lost:
                fail(protocol.STOPPING, "the client is gone")
            engine.send(line)
            loaded = await relay(connection, engine, request.deadline_s, phase="load")
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

    async def _start_engine(self, request: Load) -> EngineChild:
        backend = request.engine.backend
        if not is_backend_name(backend):
            fail(protocol.BAD_REQUEST, f"load.engine.backend: {backend!r} is no name of a backend")
        log = self._logs / f"{backend}.engine.log"
        try:
            return await EngineChild.start(request.key, request.engine, log)
        except OSError as error:
            fail(protocol.ENGINE_ERROR, f"the engine process cannot be started: {error}")

    async def _measure(self, connection: Connection, request: Measure, line: bytes) -> None:
        engine = self._engine
        if engine is None:
            fail(protocol.NO_ENGINE, "no engine is loaded")
        engine.send(line)
        engine.jobs += 1
        self._jobs += 1
        first_wave_s = request.workload.warmup.first_wave_deadline_s
        measured = await relay(
            connection, engine, request.deadline_s, phase="measure", first_wave_s=first_wave_s
        )
        connection.send(measured)

    async def _unload(self) -> None:
        if self._engine is not None:
            await self._engine.close()
            self._engine = None

    async def _drop_engine(self) -> None:
        if self._engine is not None:
            await self._engine.kill()
            self._engine = None

    async def end_unused(self, limit_s: float) -> None:
        """End an engine that has had no connection for `limit_s`."""
        if self._engine and not self._connections and time.monotonic() - self._left >= limit_s:
            async with self._turn:
                await self._drop_engine()

    def check_log(self) -> None:
        if self._engine is not None:
            self._engine.bound_log()

    async def stop(self) -> None:
        """Kill the engine and refuse new requests; a request that waits for it gets an error."""
        self._stopping = True
        if self._engine is not None:
            await self._engine.kill()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._turn.acquire(), timeout=1.0)
            self._turn.release()

    async def hang_up(self) -> None:
        """Close all connections and wait until each has ended."""
        for connection in self._connections:
            connection.close()
        for _ in range(HANG_UP_STEPS):
            if not self._connections:
                return
            await asyncio.sleep(HANG_UP_STEP_S)


def _is_steady(line: bytes) -> bool:
    try:
        return isinstance(protocol.parse_request(line), Steady)
    except ProtocolError:
        return False
