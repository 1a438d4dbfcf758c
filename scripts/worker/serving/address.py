"""Where a server is reached, and single questions to it."""

import json
import socket
import ssl
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from worker.serving.completion import refusal
from worker.serving.faults import CLOSED, INVALID, REFUSED, ServerError
from worker.serving.http_answer import HttpAnswer

CONNECT_S = 10.0
QUESTION_S = 30.0
"""Deadlines for a connection, and for the answer to a question that generates nothing."""

PIECE_BYTES = 1 << 16
PORTS = {"http": 80, "https": 443}


class AddressError(ValueError):
    """A URL that is none of a server; the message says why."""


@dataclass(frozen=True)
class Address:
    """One server: host, port, and the path that its API begins with."""

    host: str
    port: int
    secure: bool = False
    base: str = ""
    """Path before `/v1/...`; empty for most."""
    token: str | None = field(default=None, repr=False)
    """Secret that is sent with each request; it is in no message."""
    ca_file: str | None = None
    """File with the authorities whose certificates are trusted; None: those of the system."""

    @classmethod
    def of(cls, url: str, *, token: str | None = None, ca_file: str | None = None) -> "Address":
        """Return the address in a URL such as `http://127.0.0.1:8000`, without a `/v1` at its end.

        Raises:
            AddressError: it is no URL of a server, or the secret is none that can be sent.
        """
        if token and not (token.isascii() and token.isprintable() and " " not in token):
            raise AddressError("the server's token has blanks or other signs that no token has")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise AddressError(f"{url}: {error}") from error
        if parts.scheme not in PORTS or not parts.hostname:
            raise AddressError(f"{url}: must be like http://HOST:PORT")
        if parts.username or parts.password or parts.query:
            raise AddressError("a URL must be without user, password and query")
        base = parts.path.rstrip("/").removesuffix("/v1")
        secure = parts.scheme == "https"
        return cls(parts.hostname, port or PORTS[parts.scheme], secure, base, token, ca_file)

    @property
    def is_loopback(self) -> bool:
        return self.host in ("localhost", "::1") or self.host.startswith("127.")

    def head(self, method: str, path: str, *, length: int = 0) -> bytes:
        """Return the head of a request."""
        lines = [f"{method} {self.base}{path} HTTP/1.1", f"Host: {self.host}:{self.port}"]
        if self.token:
            lines.append(f"Authorization: Bearer {self.token}")
        if method == "POST":
            lines += ["Content-Type: application/json", f"Content-Length: {length}"]
        lines.append("Accept: */*")
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def connect(self) -> socket.socket:
        """Open a connection.

        Raises:
            ServerError: nobody listens there, or nobody who is trusted.
        """
        context = trusting(self.ca_file) if self.secure else None
        try:
            connection = socket.create_connection((self.host, self.port), CONNECT_S)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if context is not None:
                connection = context.wrap_socket(connection, server_hostname=self.host)
        except ssl.SSLCertVerificationError as error:
            message = (
                f"the certificate of {self.host}:{self.port} is not trusted: "
                f"{error.verify_message}; name its authority with ca_file"
            )
            raise ServerError(REFUSED, message) from error
        except ssl.SSLError as error:
            message = f"{self.host}:{self.port} does not speak TLS: {error.reason or error}"
            raise ServerError(CLOSED, message) from error
        except OSError as error:
            message = f"{self.host}:{self.port} cannot be reached: {error}"
            raise ServerError(CLOSED, message) from error
        return connection


@cache
def trusting(ca_file: str | None) -> ssl.SSLContext:
    """Return the settings of connections that trust these authorities; None: the system's.

    Raises:
        ServerError: the file cannot be read.
    """
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        message = f"ca_file {ca_file}: holds no certificates that can be read ({error})"
        raise ServerError(REFUSED, message) from error


def query(address: Address, path: str, body: dict[str, Any] | None = None) -> tuple[int, bytes]:
    """Return status and body of one question to a server, without a body as GET.

    Raises:
        ServerError: no whole answer came in time.
    """
    content = b"" if body is None else json.dumps(body).encode()
    method = "GET" if body is None else "POST"
    answer, pieces = HttpAnswer(), bytearray()
    with address.connect() as connection:
        connection.settimeout(QUESTION_S)
        try:
            connection.sendall(address.head(method, path, length=len(content)) + content)
            while not answer.complete:
                piece = connection.recv(PIECE_BYTES)
                if not piece:
                    answer.end()
                pieces += answer.feed(piece)
        except OSError as error:
            raise ServerError(CLOSED, f"{path} was not answered: {error}") from error
    return answer.status, bytes(pieces)


def query_json(address: Address, path: str) -> Any:
    """Return the JSON that a server has at `path`.

    Raises:
        ServerError: it answers no success, or no JSON.
    """
    status, body = query(address, path)
    if status != 200:
        raise refusal(status, body)
    try:
        return json.loads(body)
    except ValueError as error:
        raise ServerError(INVALID, f"{path}: no JSON: {error}") from error


def first_model(address: Address) -> str:
    """Return the name of the first model that a server lists.

    Raises:
        ServerError: it lists none.
    """
    content = query_json(address, "/v1/models")
    listed = content.get("data") if isinstance(content, dict) else None
    if not isinstance(listed, list) or not listed or not isinstance(listed[0], dict):
        raise ServerError(INVALID, "the server lists no model at /v1/models; set model_name")
    return str(listed[0].get("id"))
