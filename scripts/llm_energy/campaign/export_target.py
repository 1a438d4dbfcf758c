"""The address of a time-series server that a campaign is exported to, without credentials."""

import re
from dataclasses import dataclass
from typing import Literal, get_args

ServerKind = Literal["influxdb", "influxdb2", "victoriametrics", "postgresql"]

FORMS = (
    "influxdb://HOST:8086/DATABASE, influxdb2://HOST:8086/ORG/BUCKET, "
    "victoriametrics://HOST:8428 (each also as influxdb+https:// and so on), "
    "postgresql://HOST/DATABASE"
)
CREDENTIALS: dict[ServerKind, tuple[str, ...]] = {
    "influxdb": ("INFLUX_USERNAME", "INFLUX_PASSWORD"),
    "influxdb2": ("INFLUX_TOKEN",),
    "victoriametrics": ("VM_USERNAME", "VM_PASSWORD"),
    "postgresql": ("PGUSER", "PGPASSWORD"),
}
"""Kind of server -> the environment variables that hold its credentials."""

_HOST = r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\])(:[0-9]{1,5})?"
_NAME = r"[^/?#@\s]+"
PATTERN = (
    rf"^(influxdb(\+https?)?://{_HOST}/{_NAME}"
    rf"|influxdb2(\+https?)?://{_HOST}/{_NAME}/{_NAME}"
    rf"|victoriametrics(\+https?)?://{_HOST}/?"
    rf"|postgresql://([A-Za-z0-9_.-]+@)?({_HOST})?/{_NAME}(\?(?!.*password)[^@#\s]*)?)$"
)


@dataclass(frozen=True)
class ExportTarget:
    """A server, and the place in it."""

    kind: ServerKind
    url: str
    """As declared: it holds no secret."""
    base: str
    """`http://HOST:PORT`; of PostgreSQL, the address as declared."""
    path: tuple[str, ...]
    """Database, or organisation and bucket."""

    @property
    def credentials(self) -> str:
        """Return the names of the variables with its credentials, in words."""
        return " and ".join(CREDENTIALS[self.kind])


def export_target(url: str) -> ExportTarget:
    """Return the server that an address names.

    Raises:
        ValueError: it is no address of a server that is known here, or holds a password; the
            message never repeats the address, which may hold a secret.
    """
    scheme, _, rest = url.partition("://")
    name, _, transport = scheme.partition("+")
    kind = next((known for known in get_args(ServerKind) if known == name), None)
    if re.fullmatch(PATTERN, url) is None:
        if kind and ("@" in rest or "password" in rest):
            names = " and ".join(CREDENTIALS[kind])
            raise ValueError(f"must hold no credentials: put them into the environment, as {names}")
        raise ValueError(f"must be the address of a server: {FORMS}")
    assert kind is not None
    host, *path = rest.split("/")
    base = url if kind == "postgresql" else f"{transport or 'http'}://{host}"
    return ExportTarget(kind, url, base, tuple(filter(None, path)))
