"""Answers of HTTP/1.1 in the frames that servers use."""

import json
from collections.abc import Sequence
from typing import Any

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"


def chunked(events: Sequence[str]) -> bytes:
    """An answer as most servers frame it: one chunk of HTTP for each event."""
    body = b""
    for event in events:
        content = event.encode()
        body += b"%x\r\n%b\r\n" % (len(content), content)
    return HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + body + b"0\r\n\r\n"


def whole(events: Sequence[str]) -> bytes:
    """An answer of a known length."""
    content = "".join(events).encode()
    return HEAD + b"Content-Length: %d\r\n\r\n" % len(content) + content


def until_closed(events: Sequence[str]) -> bytes:
    """An answer that ends with the connection."""
    return HEAD + b"Connection: close\r\n\r\n" + "".join(events).encode()


def refusing(status: int, content: Any) -> bytes:
    """An answer with a status that is no success."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return b"HTTP/1.1 %d Nope\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body
