"""Bytes that arrive in pieces, as the lines that they are."""


class Lines:
    """Takes pieces, gives lines without their end."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        """So far there is no end of a line: a long one is not searched anew for each piece."""

    def add(self, piece: bytes) -> None:
        self._buffer += piece

    def next(self) -> bytes | None:
        """The next line; None where it is not whole yet."""
        end = self._buffer.find(b"\n", self._searched)
        if end < 0:
            self._searched = len(self._buffer)
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._searched = 0
        return line
