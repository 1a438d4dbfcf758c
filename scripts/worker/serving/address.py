"""Where a server is reached, and single questions to it."""

import ipaddress
import json
import socket
import ssl
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from worker.serving.completion import refusal
from worker.serving.faults import CLOSED, INVALID, REFUSED, ServerError
from worker.serving.http_answer import HttpAnswer

CONNECT_S = 10.0
QUESTION_S = 30.0
"""Deadlines for a connection, and for the answer to a question that generates nothing."""

PIECE_BYTES = 1 << 16
PORTS = {"http": 80, "https": 443}
MODELS = "/v1/models"
ENDPOINTS = ("/models", "/completions")


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
            raise AddressError(f"the URL cannot be read: {error}") from error
        if parts.username or parts.password or parts.query or parts.fragment:
            raise AddressError("a URL must be without user, password, query and fragment")
        plain = url.isascii() and url.isprintable() and " " not in url
        if parts.scheme not in PORTS or not parts.hostname or port == 0 or not plain:
            raise AddressError(f"{url}: must be like http://HOST:PORT")
        path = parts.path.rstrip("/")
        if path.endswith(ENDPOINTS):
            server = f"{parts.scheme}://{parts.netloc}"
            raise AddressError(f"{url}: is an endpoint; give the server's address, {server}")
        base, secure = path.removesuffix("/v1").rstrip("/"), parts.scheme == "https"
        return cls(parts.hostname, port or PORTS[parts.scheme], secure, base, token, ca_file)

    @property
    def is_loopback(self) -> bool:
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:  # a name
            return self.host == "localhost"

    @property
    def location(self) -> str:
        """Host and port as they stand in a URL."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def head(self, method: str, path: str, *, length: int = 0) -> bytes:
        """Return the head of a request."""
        lines = [f"{method} {self.base}{path} HTTP/1.1", f"Host: {self.location}"]
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
        fault = "cannot be reached"
        try:
            connection = socket.create_connection((self.host, self.port), CONNECT_S)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if context is not None:
                fault = "does not speak TLS"
                connection = context.wrap_socket(connection, server_hostname=self.host)
        except ssl.SSLCertVerificationError as error:
            message = (
                f"the certificate of {self.location} is not trusted: "
                f"{error.verify_message}; name its authority with ca_file"
            )
            raise ServerError(REFUSED, message) from error
        except ssl.SSLError as error:
            message = f"{self.location} does not speak TLS: {error.reason or error}"
            raise ServerError(CLOSED, message) from error
        except OSError as error:
            message = f"{self.location} {fault}: {error}"
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


class Reply(NamedTuple):
    """The answer to one question."""

    status: int
    media_type: str
    body: bytes


def query(address: Address, path: str, body: dict[str, Any] | None = None) -> Reply:
    """Return the answer to one question to a server, without a body as GET.

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
    return Reply(answer.status, answer.media_type, bytes(pieces))


def listed_models(address: Address) -> list[str]:
    """Return the names of the models that a server lists, at least one.

    Raises:
        ServerError: it lists none.
    """
    reply = query(address, MODELS)
    if reply.status != 200:
        raise refusal(reply.status, reply.body, path=address.base + MODELS)
    try:
        content = json.loads(reply.body)
    except ValueError as error:
        raise ServerError(INVALID, f"{MODELS}: no JSON: {error}") from error
    listed = content.get("data") if isinstance(content, dict) else None
    models = [m for m in listed if isinstance(m, dict)] if isinstance(listed, list) else []
    if not models:
        raise ServerError(INVALID, f"the server lists no model at {MODELS}; set model_name")
    return [str(model.get("id")) for model in models]
