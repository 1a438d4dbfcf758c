"""A Redfish service of a controller with one machine or several, as DMTF's schemas and its mockup
`public-rackmount1` lay it out: ChassisCollection, Chassis, EnvironmentMetrics 1.3, Power 1.7."""

import json
import socket
import subprocess
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

USER, PASSWORD = "operator", "marker-of-a-password"
ROOT = "/redfish/v1/Chassis"

Watts = Callable[[], float | None]


@dataclass
class MadeChassis:
    """One chassis; a resource that is None is not there at all."""

    watts: Watts | None = lambda: 374.0
    """PowerWatts of EnvironmentMetrics."""
    kwh: Watts | None = None
    """EnergykWh of EnvironmentMetrics."""
    consumed_watts: Watts | None = None
    """PowerConsumedWatts of the first entry of Power."""
    parts: list[Mapping[str, Any]] = field(default_factory=list)
    """Further entries of PowerControl."""


def open_gate() -> threading.Event:
    gate = threading.Event()
    gate.set()
    return gate


@dataclass
class Faults:
    """Wrong behaviour of the service; may be changed while it runs."""

    status: int | None = None
    """Answer everything with this status."""
    delay_s: float = 0.0
    gate: threading.Event = field(default_factory=open_gate)
    """Answer nothing until it is set."""
    body: bytes | None = None
    """Answer everything with this."""
    closes: bool = False
    """Close the connection without an answer."""
    wants_slash: bool = False
    """Redirect paths without a slash at their end, as iLO and older BMCs do."""


class RedfishServer:
    """The service on a free port of this host; counts what it is asked."""

    def __init__(self, **chassis: MadeChassis) -> None:
        self.chassis = chassis or {"1U": MadeChassis()}
        self.faults = Faults()
        self.paths: list[str] = []
        self.connections: list[socket.socket] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def secure(self, context: Any) -> None:
        """Speak TLS from now on."""
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )

    def drop_connections(self) -> None:
        """Close all that are open, as a controller does after a while."""
        for connection in self.connections:
            connection.shutdown(socket.SHUT_RDWR)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def resource(self, path: str) -> dict[str, Any] | None:
        """Return what the service has at a path."""
        rest = path.removeprefix(ROOT).strip("/").split("/")
        if rest == [""]:
            members = [{"@odata.id": f"{ROOT}/{id_}"} for id_ in self.chassis]
            return {
                "@odata.type": "#ChassisCollection.ChassisCollection",
                "Name": "Chassis Collection",
                "Members@odata.count": len(members),
                "Members": members,
                "@odata.id": ROOT,
            }
        made = self.chassis.get(rest[0])
        if made is None or not path.startswith(ROOT):
            return None
        if len(rest) == 1:
            return _chassis(rest[0])
        if rest[1] == "EnvironmentMetrics" and made.watts:
            return _environment(rest[0], made)
        if rest[1] == "Power" and made.consumed_watts:
            return _power(rest[0], made)
        return None


def _chassis(id_: str) -> dict[str, Any]:
    return {
        "@odata.type": "#Chassis.v1_22_0.Chassis",
        "@odata.id": f"{ROOT}/{id_}",
        "Id": id_,
        "Name": "Computer System Chassis",
        "ChassisType": "RackMount",
        "Manufacturer": "Contoso",
        "Model": "3500RX",
        "SerialNumber": "437XR1138R2",
        "PowerState": "On",
        "EnvironmentMetrics": {"@odata.id": f"{ROOT}/{id_}/EnvironmentMetrics"},
        "Power": {"@odata.id": f"{ROOT}/{id_}/Power"},
    }


def _environment(id_: str, made: MadeChassis) -> dict[str, Any]:
    assert made.watts is not None
    sensors = f"{ROOT}/{id_}/Sensors"
    found: dict[str, Any] = {
        "@odata.type": "#EnvironmentMetrics.v1_3_0.EnvironmentMetrics",
        "@odata.id": f"{ROOT}/{id_}/EnvironmentMetrics",
        "Id": "EnvironmentMetrics",
        "Name": "Chassis Environment Metrics",
        "TemperatureCelsius": {"Reading": 39, "DataSourceUri": f"{sensors}/CPU1Temp"},
        "PowerWatts": {"Reading": made.watts(), "DataSourceUri": f"{sensors}/TotalPower"},
    }
    if made.kwh:
        found["EnergykWh"] = {"Reading": made.kwh(), "DataSourceUri": f"{sensors}/TotalEnergy"}
    return found


def _power(id_: str, made: MadeChassis) -> dict[str, Any]:
    assert made.consumed_watts is not None
    path = f"{ROOT}/{id_}/Power"
    first = {
        "@odata.id": f"{path}#/PowerControl/0",
        "MemberId": "0",
        "Name": "System Input Power",
        "PowerConsumedWatts": made.consumed_watts(),
        "PowerCapacityWatts": 800,
        "PowerMetrics": {
            "IntervalInMin": 30,
            "MinConsumedWatts": 271,
            "MaxConsumedWatts": 489,
            "AverageConsumedWatts": 319,
        },
        "RelatedItem": [{"@odata.id": f"{ROOT}/{id_}"}],
    }
    return {
        "@odata.type": "#Power.v1_7_1.Power",
        "@odata.id": path,
        "Id": "Power",
        "Name": "Power",
        "PowerControl": [first, *made.parts],
        "PowerSupplies": [{"MemberId": "0", "LastPowerOutputWatts": 325}],
    }


def _handler_of(service: RedfishServer) -> type[BaseHTTPRequestHandler]:
    expected = "Basic " + b64encode(f"{USER}:{PASSWORD}".encode()).decode()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            service.connections.append(self.request)
            super().setup()

        def handle(self) -> None:
            with suppress(OSError):  # as of a client that trusts nobody
                super().handle()

        def do_GET(self) -> None:
            service.paths.append(self.path)
            faults = service.faults
            faults.gate.wait()
            time.sleep(faults.delay_s)
            if faults.closes:
                self.close_connection = True
                return
            status, content = 200, faults.body
            if self.headers.get("Authorization") != expected:
                status = 401
            resource = service.resource(self.path)
            if status == 200:
                status = faults.status or (200 if resource is not None else 404)
            if faults.wants_slash and not self.path.endswith("/"):
                status = 308
            if status != 200:
                resource = {"error": {"code": "Base.1.8.GeneralError", "message": "no"}}
            content = content if content is not None else json.dumps(resource).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


def updating(watts: Callable[[float], float], every_s: float) -> Watts:
    """A sensor that is looked at every so often: its value stays between two updates."""

    def value() -> float:
        now_s = time.monotonic()
        return watts(now_s - now_s % every_s)

    return value


def certificate_in(folder: Path, name: str = "localhost") -> Path:
    """Make a certificate that signs itself, and its key as key.pem beside it."""
    path = folder / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"]
    command += ["-keyout", str(folder / "key.pem"), "-out", str(path)]
    subprocess.run(command, check=True, capture_output=True)
    return path
