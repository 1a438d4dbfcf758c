"""Power of a chassis over Redfish: found, read, and refused in one line that names no secret."""

import socket
import ssl
import threading
from base64 import b64encode
from collections.abc import Iterator
from math import inf, nan
from pathlib import Path

import pytest
from tests.redfish_server import PASSWORD, ROOT, USER, MadeChassis, RedfishServer, certificate_in

from llm_energy.power import redfish
from llm_energy.power.chassis import NO_POWER, REFUSED, UNREACHABLE, ChassisError, ChassisPower
from llm_energy.power.redfish import control_power, environment_power, open_chassis

WHOLE = MadeChassis(watts=lambda: 374.0, kwh=lambda: 3638.0)
OLD = MadeChassis(watts=None, consumed_watts=lambda: 344.0)


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDFISH_USERNAME", USER)
    monkeypatch.setenv("REDFISH_PASSWORD", PASSWORD)


@pytest.fixture
def server() -> Iterator[RedfishServer]:
    made = RedfishServer(**{"1U": WHOLE})
    yield made
    made.close()


def fault(url: str, **options: str) -> ChassisError:
    with pytest.raises(ChassisError) as caught:
        open_chassis(url, **options)
    message = str(caught.value)
    assert "\n" not in message
    secret = b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    assert not any(word in message for word in (USER, PASSWORD, secret))
    return caught.value


def test_environment_metrics_give_power_and_energy(server: RedfishServer) -> None:
    chassis = open_chassis(server.url)
    assert chassis.power() == ChassisPower(374.0, 3638 * 3.6e6)
    assert (chassis.about.model, chassis.about.label) == ("Contoso 3500RX", "1U")
    assert chassis.about.facts == {"redfish_resource": "EnvironmentMetrics"}


def test_readings_keep_one_connection(server: RedfishServer) -> None:
    chassis = open_chassis(server.url)
    for _ in range(3):
        chassis.power()
    assert len(server.connections) == 1
    assert server.paths[-3:] == [f"{ROOT}/1U/EnvironmentMetrics"] * 3


def test_a_connection_that_was_closed_meanwhile_is_opened_again(server: RedfishServer) -> None:
    chassis = open_chassis(server.url)
    server.drop_connections()
    assert chassis.power().watts == 374.0


@pytest.mark.parametrize(
    "made",
    [OLD, MadeChassis(watts=lambda: None, consumed_watts=lambda: 344.0)],
    ids=["404", "null"],
)
def test_without_environment_metrics_the_older_resource_counts(
    server: RedfishServer, made: MadeChassis
) -> None:
    server.chassis = {"1U": made}
    chassis = open_chassis(server.url)
    assert chassis.power() == ChassisPower(344.0)
    assert chassis.about.facts == {"redfish_resource": "Power"}


def test_parts_of_the_chassis_are_never_added() -> None:
    parts = [
        {"Name": "CPU Sub-system Power", "PhysicalContext": "CPU", "PowerConsumedWatts": 120},
        {"Name": "Memory Sub-system Power", "PowerConsumedWatts": 30},
    ]
    whole = {"Name": "Server Power Control", "PowerConsumedWatts": 344}
    assert control_power({"PowerControl": [parts[0], whole, parts[1]]}).watts == 344.0


@pytest.mark.parametrize(
    "resource",
    [
        {},
        *({"PowerWatts": each} for each in (None, [1])),
        *({"PowerWatts": {"Reading": each}} for each in (None, "9", -5, 10**400, inf, nan, True)),
    ],
)
def test_what_is_no_number_is_no_power(resource: dict) -> None:
    assert environment_power(resource) == ChassisPower(None)


@pytest.mark.parametrize("listed", [None, [], [None], [{}], [{"PowerConsumedWatts": None}], {}])
def test_an_entry_without_a_number_is_no_power(listed: object) -> None:
    assert control_power({"PowerControl": listed}) == ChassisPower(None)


def test_a_null_reading_later_is_no_power(server: RedfishServer) -> None:
    chassis = open_chassis(server.url)
    server.chassis = {"1U": MadeChassis(watts=lambda: None)}
    assert chassis.power() == ChassisPower(None)
    server.chassis = {}
    with pytest.raises(ChassisError, match="any more") as caught:
        chassis.power()
    assert caught.value.reason == NO_POWER


def test_of_several_chassis_with_power_one_must_be_named(server: RedfishServer) -> None:
    server.chassis = {"Chassis_0": WHOLE, "HGX_GPU_0": WHOLE, "Riser": MadeChassis(watts=None)}
    error = fault(server.url)
    assert error.reason == NO_POWER
    assert "several chassis, Chassis_0, HGX_GPU_0: name the one" in str(error)
    assert open_chassis(server.url, chassis="Chassis_0").about.label == "Chassis_0"


def test_only_the_named_chassis_is_looked_at(server: RedfishServer) -> None:
    server.chassis = {f"C{number}": WHOLE for number in range(12)}
    open_chassis(server.url, chassis="C7")
    assert server.paths == [ROOT, f"{ROOT}/C7", f"{ROOT}/C7/EnvironmentMetrics"]
    assert "C0, C1, C2, C3, C4, C5, C6, C7 and 4 more" in str(fault(server.url))


def test_a_chassis_that_is_not_there_is_named_beside_those_that_are(server: RedfishServer) -> None:
    assert "has no chassis 2U, but 1U" in str(fault(server.url, chassis="2U"))


def test_a_chassis_without_power_says_what_it_lacks(server: RedfishServer) -> None:
    server.chassis = {"1U": MadeChassis(watts=None)}
    error = fault(server.url)
    assert error.reason == NO_POWER
    assert "reports no power of 1U: neither PowerWatts" in str(error)
    server.chassis = {}
    assert "no chassis" in str(fault(server.url, chassis="1U"))


def test_a_wrong_password_and_none_are_refused(
    server: RedfishServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDFISH_PASSWORD", "not-the-password")
    error = fault(server.url)
    assert error.reason == REFUSED
    assert "refuses access (401): check REDFISH_USERNAME and REDFISH_PASSWORD" in str(error)
    monkeypatch.delenv("REDFISH_PASSWORD")
    monkeypatch.delenv("REDFISH_USERNAME")
    assert "set REDFISH_USERNAME and REDFISH_PASSWORD" in str(fault(server.url))


@pytest.mark.parametrize(
    ("status", "reason"), [(403, REFUSED), (301, REFUSED), (429, UNREACHABLE), (503, UNREACHABLE)]
)
def test_other_answers_are_named(server: RedfishServer, status: int, reason: str) -> None:
    server.faults.status = status
    error = fault(server.url)
    assert error.reason == reason
    assert str(status) in str(error)


def test_a_service_that_wants_a_slash_at_the_end_gets_it(server: RedfishServer) -> None:
    server.faults.wants_slash = True
    assert open_chassis(server.url, chassis="1U").power().watts == 374.0


@pytest.mark.parametrize(
    "body", [b"<html>login</html>", b"[]", b"\xff", b"[" * 100_000, b" " * 10_000_000]
)
def test_an_answer_that_is_no_resource_is_refused(server: RedfishServer, body: bytes) -> None:
    server.faults.body = body
    error = fault(server.url)
    assert error.reason == UNREACHABLE
    assert "is no Redfish resource" in str(error)


def test_a_link_that_is_no_address_is_no_chassis(server: RedfishServer) -> None:
    server.resource = lambda _: {"Members": [{"@odata.id": f"{ROOT}/é"}]}  # type: ignore[method-assign]
    assert fault(server.url).reason == NO_POWER


def test_an_answer_that_is_no_http_is_quoted_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_answer_garbage, args=[listener], daemon=True).start()
        error = fault(f"http://127.0.0.1:{listener.getsockname()[1]}")
    assert error.reason == UNREACHABLE
    assert str(error).endswith("does not answer: SSH-2.0 [31m hello")


def _answer_garbage(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.recv(1 << 16)
        connection.sendall(b"SSH-2.0 \x1b[31m hello\r\n")


def test_another_service_is_named(server: RedfishServer) -> None:
    server.resource = lambda _: None  # type: ignore[method-assign]
    assert "no Redfish service" in str(fault(server.url))


def test_nobody_there_and_no_answer(server: RedfishServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redfish, "ANSWER_S", 0.2)
    server.faults.delay_s = 1.0
    error = fault(server.url)
    assert error.reason == UNREACHABLE
    assert "does not answer" in str(error)
    server.faults.delay_s, server.faults.closes = 0.0, True
    assert fault(server.url).reason == UNREACHABLE
    error = fault("http://127.0.0.1:9")
    assert error.reason == UNREACHABLE
    assert "127.0.0.1:9 does not answer: [Errno 111] Connection refused" in str(error)


def test_over_tls_only_with_a_certificate_that_is_trusted(tmp_path: Path) -> None:
    certificate = certificate_in(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, tmp_path / "key.pem")
    server = RedfishServer()
    server.secure(context)
    url = f"https://localhost:{server.port}"
    try:
        error = fault(url)
        assert error.reason == REFUSED
        assert "is not trusted: self-signed certificate" in str(error)
        assert "`host_power.ca_file`" in str(error)
        assert server.paths == []  # nobody got the password
        assert open_chassis(url, ca_file=str(certificate)).power().watts == 374.0
        numbers = fault(f"https://127.0.0.1:{server.port}", ca_file=str(certificate))
        assert "IP address mismatch" in str(numbers)
        assert "write a name that the certificate has" in str(numbers)
        missing = fault(url, ca_file=str(tmp_path / "absent.pem"))
        assert "holds no certificates that can be read" in str(missing)
    finally:
        server.close()
