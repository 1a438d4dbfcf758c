"""The connection of a client, and an engine's events that are passed on over it."""

import asyncio
import time
from typing import NoReturn

from worker import protocol
from worker.child import EngineChild
from worker.protocol import Event


class Connection:
    """Lines from one client of a supervisor, events to it; the client may be gone already."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.lost = False
        """Set once its end has been read."""

    async def receive(self) -> bytes:
        """Return the next line; empty at the end of the stream, even in the middle of a line."""
        try:
            line = await self._reader.readline()
        except (ConnectionError, ValueError):  # broken, or longer than any request
            line = b""
        self.lost = not line.endswith(b"\n")
        return b"" if self.lost else line

    def send(self, line: bytes) -> None:
        """Send without waiting: a client that does not read must not stop the deadlines.

        `receive` notices that it is gone.
        """
        self._writer.write(line)

    def send_event(self, event: Event) -> None:
        self.send(protocol.encode(event))

    def close(self) -> None:
        """Close it; lines sent before are still delivered."""
        self._writer.close()


class RequestFailedError(Exception):
    """A request that failed; carries its error event."""

    def __init__(self, event: Event) -> None:
        super().__init__(event["message"])
        self.event = event


def fail(
    reason: str, message: str, *, phase: str | None = None, engine: EngineChild | None = None
) -> NoReturn:
    log_tail = engine.log_tail() if engine is not None else ()
    raise RequestFailedError(protocol.error_event(reason, message, phase=phase, log_tail=log_tail))


async def relay(
    connection: Connection,
    engine: EngineChild,
    deadline_s: float,
    *,
    phase: str,
    first_wave_s: float | None = None,
) -> bytes:
    """Pass the engine's events on; return the final one, which is not passed on.

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
            fail(protocol.DEADLINE_EXCEEDED, message, phase=phase, engine=engine)
        if not line:
            await engine.kill()
            reason, message = engine.cause_of_death()
            fail(reason, message, phase=phase, engine=engine)
        event = protocol.decode(line)
        if event["event"] == "error":
            fail(event["reason"], event["message"], phase=phase, engine=engine)
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
        connection.send(line)
