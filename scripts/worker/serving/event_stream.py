"""Server-sent events, read from bytes however they are split (WHATWG HTML, 9.2.6).

Bytes are decoded only when an event is whole, so that no character is ever cut.
"""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class EventStream:
    """Takes pieces of a body, gives the data of whole events."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._data: list[bytes] = []
        self._after_return = False
        """The last line ended with a carriage return: a line feed that follows belongs to it."""
        self._first = True

    @property
    def rest(self) -> bytes:
        """The beginning of an event that has not ended."""
        return b"\n".join([*self._data, bytes(self._buffer)]).strip()

    def feed(self, piece: bytes) -> list[bytes]:
        """Return the data of each event that ends in this piece; comments are left out."""
        if self._after_return and piece:
            piece, self._after_return = piece.removeprefix(b"\n"), False
        self._buffer += piece
        lines = self._buffer.splitlines(keepends=True)
        self._buffer.clear()
        if lines and not lines[-1].endswith((b"\n", b"\r")):
            self._buffer += lines.pop()
        elif lines:
            self._after_return = lines[-1].endswith(b"\r")
        events = []
        for line in lines:
            content = bytes(line).rstrip(b"\r\n")
            if self._first:
                content, self._first = content.removeprefix(BYTE_ORDER_MARK), False
            if content:
                self._take_field(content)
            elif self._data:
                events.append(b"\n".join(self._data))
                self._data.clear()
        return [event for event in events if event]

    def _take_field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
