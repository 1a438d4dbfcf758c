"""One answer of an HTTP/1.1 server (RFC 9112), read from its bytes however they are split."""

from worker.serving.faults import CLOSED, INVALID, ServerError

MAX_HEAD_BYTES = 64 * 1024
MAX_CHUNK_DIGITS = 16

INFORMATIONAL = range(100, 200)
WITHOUT_BODY = (204, 304)

EVENT_STREAM = "text/event-stream"


class HttpAnswer:
    """The answer to one request; `feed` it what arrives, until it is `complete`."""

    def __init__(self) -> None:
        self.status = 0
        """0 until the head is there."""
        self.headers: dict[str, str] = {}
        """By name in lower case."""
        self.complete = False
        self.begun = False
        """True once a byte has come."""
        self._buffer = bytearray()
        self._read = self._read_head
        self._body = bytearray()
        self._missing = 0
        """Bytes that the body or its present chunk still lacks."""

    @property
    def reusable(self) -> bool:
        """True if the connection may carry another request after this answer."""
        return (
            self.complete
            and not self._buffer
            and self.headers.get("connection", "").lower() != "close"
        )

    @property
    def media_type(self) -> str:
        """The type of the body, in lower case and without parameters; empty where it has none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def feed(self, piece: bytes) -> bytes:
        """Return what the piece adds to the body, without the framing of chunks.

        Raises:
            ServerError: it is no HTTP/1.1.
        """
        self.begun = self.begun or bool(piece)
        self._buffer += piece
        while not self.complete and self._read():
            pass
        body, self._body = bytes(self._body), bytearray()
        return body

    def end(self) -> None:
        """Take the end of the connection.

        Raises:
            ServerError: the answer is not complete.
        """
        if self._read == self._read_until_closed:
            self.complete = True
        if not self.complete:
            where = "in the middle of an answer" if self.begun else "without an answer"
            raise ServerError(CLOSED, f"the server closed the connection {where}")

    def _line(self, limit: int) -> bytes | None:
        """Return the next line without its end, None where it is not whole yet."""
        end = self._buffer.find(b"\n")
        if end < 0 or end > limit:
            if max(end, len(self._buffer)) > limit:
                raise _invalid(f"a line of over {limit} bytes")
            return None
        line = bytes(self._buffer[:end]).removesuffix(b"\r")
        del self._buffer[: end + 1]
        return line

    def _read_head(self) -> bool:
        line = self._line(MAX_HEAD_BYTES)
        if line is None:
            return False
        text = line.decode("latin-1")
        if not self.status:
            version, _, rest = text.partition(" ")
            if not version.startswith("HTTP/1.") or not rest[:3].isdecimal():
                raise _invalid(f"{text[:80]!r} is no status line")
            self.status = int(rest[:3])
        elif text:
            name, colon, value = text.partition(":")
            if not colon:
                raise _invalid(f"{text[:80]!r} is no header")
            self.headers[name.strip().lower()] = value.strip()
        else:
            self._end_head()
        return True

    def _end_head(self) -> None:
        length = self.headers.get("content-length")
        if self.status in INFORMATIONAL:
            self.status, self.headers = 0, {}
        elif self.status in WITHOUT_BODY:
            self.complete = True
        elif self.headers.get("transfer-encoding", "").lower() == "chunked":
            self._read = self._read_chunk_size
        elif length is None:
            self._read = self._read_until_closed
        elif length.isdecimal():
            self._missing, self._read = int(length), self._read_body
            self.complete = not self._missing
        else:
            raise _invalid(f"content-length is {length[:40]!r}")

    def _take(self) -> None:
        """Move to the body what has come of the missing bytes."""
        taken = self._buffer[: self._missing]
        self._body += taken
        self._missing -= len(taken)
        del self._buffer[: len(taken)]

    def _read_body(self) -> bool:
        self._take()
        self.complete = not self._missing
        return False

    def _read_until_closed(self) -> bool:
        self._body += self._buffer
        self._buffer.clear()
        return False

    def _read_chunk_size(self) -> bool:
        line = self._line(MAX_HEAD_BYTES)
        if line is None:
            return False
        digits = line.partition(b";")[0].strip()
        try:
            size = int(digits, 16) if digits.isalnum() and len(digits) <= MAX_CHUNK_DIGITS else -1
        except ValueError:
            size = -1
        if size < 0:
            raise _invalid(f"{line[:40]!r} is no size of a chunk")
        self._missing = size
        self._read = self._read_chunk if size else self._read_trailer
        return True

    def _read_chunk(self) -> bool:
        self._take()
        if self._missing:
            return False
        self._read = self._read_chunk_end
        return True

    def _read_chunk_end(self) -> bool:
        line = self._line(MAX_HEAD_BYTES)
        if line:
            raise _invalid(f"{line[:40]!r} follows a chunk")
        if line is not None:
            self._read = self._read_chunk_size
        return line is not None

    def _read_trailer(self) -> bool:
        line = self._line(MAX_HEAD_BYTES)
        self.complete = line == b""
        return line is not None


def _invalid(detail: str) -> ServerError:
    return ServerError(INVALID, f"the server's answer is no HTTP/1.1: {detail}")
