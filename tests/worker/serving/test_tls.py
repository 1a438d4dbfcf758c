"""Servers over TLS: trusted by a file of authorities or by the system, else refused in one line."""

import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.worker.serving import stand_in
from tests.worker.serving.frames import chunked
from tests.worker.serving.stand_in import StandIn, request

from worker.serving.address import Address, AddressError, listed_models
from worker.serving.dialect import TOKEN_IDS, Dialect
from worker.serving.faults import CLOSED, REFUSED, ServerError
from worker.serving.load import Client


class Secure(StandIn):
    """The stand-in, with a certificate that it signed itself."""

    def __init__(self, folder: Path, name: str = "localhost") -> None:
        key, self.certificate = folder / "key.pem", folder / "certificate.pem"
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
        command += ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"]
        command += ["-keyout", str(key), "-out", str(self.certificate)]
        subprocess.run(command, check=True, capture_output=True)
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(self.certificate, key)
        super().__init__(stand_in.answer_all)

    def _serve(self, connection: socket.socket) -> None:
        try:
            secured = self._tls.wrap_socket(connection, server_side=True)
        except (OSError, ssl.SSLError):
            connection.close()
            return
        super()._serve(secured)

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[Secure]:
    server = Secure(tmp_path)
    yield server
    server.close()


def fault(address: Address) -> ServerError:
    with pytest.raises(ServerError) as error:
        listed_models(address)
    assert "\n" not in str(error.value)
    return error.value


def test_a_server_is_measured_over_tls(secure: Secure) -> None:
    address = Address.of(secure.url, token="s3cret", ca_file=str(secure.certificate))
    assert listed_models(address)[0] == "m"
    client = Client(address, Dialect(TOKEN_IDS), model="m", stall_s=30.0)
    requests = iter([request(number, tokens=40) for number in range(6)])
    taken: list[int] = []
    client.run(lambda: next(requests, None), 3, lambda _, ids: taken.extend(ids))
    client.close()
    assert len(taken) == 6 * 40
    assert secure.connections == 4  # the question about models, and three that are used again


def test_a_certificate_that_nobody_vouches_for_is_refused(secure: Secure) -> None:
    error = fault(Address.of(secure.url, token="s3cret"))
    assert error.reason == REFUSED
    assert "is not trusted: self-signed certificate; name its authority with ca_file" in str(error)
    assert secure.heads == []  # nobody got the secret


def test_a_certificate_of_another_name_is_refused(tmp_path: Path) -> None:
    server = Secure(tmp_path, name="elsewhere.example")
    error = fault(Address.of(server.url, ca_file=str(server.certificate)))
    server.close()
    assert "is not trusted: Hostname mismatch" in str(error)


def test_a_file_without_certificates_is_named(secure: Secure, tmp_path: Path) -> None:
    (tmp_path / "empty.pem").touch()
    for name in ("empty.pem", "missing.pem"):
        error = fault(Address.of(secure.url, ca_file=str(tmp_path / name)))
        assert f"{name}: holds no certificates that can be read" in str(error)


def test_a_server_without_tls_is_named_as_such() -> None:
    plain = StandIn(lambda body: chunked(stand_in.vllm(body)))

    def answer(connection: socket.socket) -> None:
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    plain._serve = answer  # type: ignore[method-assign]
    error = fault(Address("localhost", plain.port, secure=True))
    plain.close()
    assert error.reason == CLOSED
    assert "does not speak TLS" in str(error)


def test_a_server_that_says_nothing_to_a_handshake_is_named_as_one_without_tls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("worker.serving.address.CONNECT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        error = fault(Address("127.0.0.1", silent.getsockname()[1], secure=True))
    assert error.reason == CLOSED
    assert "does not speak TLS: " in str(error)


@pytest.mark.parametrize("token", ["a b", "a\r\nX: y", "é"])
def test_a_secret_that_no_header_can_hold_is_refused_without_being_named(token: Any) -> None:
    with pytest.raises(AddressError) as error:
        Address.of("https://localhost", token=token)
    assert token not in str(error.value)
