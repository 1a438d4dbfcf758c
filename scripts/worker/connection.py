"""One client of a supervisor, which may be gone already."""

import asyncio

from worker import protocol
from worker.protocol import Event


class Connection:
    """Lines from a client, events to it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.lost = False
        """Set once its end has been read."""

    async def receive(self) -> bytes:
        """The next line; empty at the end of the stream, also where it ends within a line."""
        try:
            line = await self._reader.readline()
        except (ConnectionError, ValueError):  # broken, or longer than any request
            line = b""
        self.lost = not line.endswith(b"\n")
        return b"" if self.lost else line

    def send(self, line: bytes) -> None:
        """Send without waiting: a client that does not read must not stop the deadlines.

        That it is gone is noticed where it is read.
        """
        self._writer.write(line)

    def send_event(self, event: Event) -> None:
        self.send(protocol.encode(event))

    def close(self) -> None:
        """What was sent is still delivered."""
        self._writer.close()
