"""The stdin, stdout and stderr of a process in a container, over one connection to the engine.

The engine multiplexes stdout and stderr into frames: 8 bytes of header (stream, 3 zeros, length as
a big-endian 32-bit number), then the content. docker-py reads them without a deadline, so the
connection is read here.

Source: Docker Engine API, "Attach to a container", section "Stream format".
"""

import contextlib
import select
import socket
import struct
import time
from dataclasses import dataclass
from typing import Any

from docker.models.containers import Container

HEADER = struct.Struct(">BxxxL")
STDOUT, STDERR = 1, 2
CHUNK_BYTES = 1 << 16


@dataclass(frozen=True)
class Frame:
    """A piece of output."""

    stream: int
    """STDOUT or STDERR."""
    content: bytes


class Stream:
    """One hijacked connection: stdin one way, frames the other way.

    Args:
        response: what docker-py's `exec_start(socket=True)` or `attach_socket` returned.
    """

    def __init__(self, response: Any) -> None:
        self._response = response
        # docker-py hands out a SocketIO for a Unix socket and keeps it from being collected.
        self._socket: socket.socket = getattr(response, "_sock", response)
        self._socket.setblocking(True)
        self._buffer = bytearray()

    def send(self, data: bytes) -> None:
        """Send bytes. Raises OSError where the other end is closed."""
        self._socket.sendall(data)

    def end_input(self) -> None:
        """Let the process see the end of its stdin."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def receive(self, deadline: float) -> Frame | None:
        """The next frame; None if none was whole by `deadline` (CLOCK_MONOTONIC, s).

        Raises:
            EOFError: the process is gone, or the engine is.
        """
        while True:
            if len(self._buffer) >= HEADER.size:
                stream, length = HEADER.unpack_from(self._buffer)
                end = HEADER.size + length
                if len(self._buffer) >= end:
                    content = bytes(self._buffer[HEADER.size : end])
                    del self._buffer[:end]
                    return Frame(stream, content)
            wait_s = max(0.0, deadline - time.monotonic())
            if not select.select([self._socket], [], [], wait_s)[0]:
                return None
            try:
                chunk = self._socket.recv(CHUNK_BYTES)
            except OSError as error:
                raise EOFError(str(error)) from error
            if not chunk:
                raise EOFError("the connection was closed")
            self._buffer += chunk

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._response.close()
        with contextlib.suppress(OSError):
            self._socket.close()


def start_attached(container: Container, *, stdin: bool = False) -> Stream:
    """Start a created container, attached before it starts, so that no output is missed."""
    parameters = {"stdin": int(stdin), "stdout": 1, "stderr": 1, "stream": 1}
    stream = Stream(container.attach_socket(params=parameters))
    container.start()
    return stream
