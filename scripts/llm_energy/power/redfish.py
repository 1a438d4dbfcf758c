"""Power of a chassis over Redfish, by DMTF's schemas EnvironmentMetrics and Power.

User name and password come from the environment. They are sent with each request, over TLS or to
this host only, and are in no message.
"""

import http.client
import json
import os
import ssl
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from llm_energy.power.chassis import (
    ANSWER_S,
    NO_POWER,
    REFUSED,
    UNREACHABLE,
    ChassisError,
    ChassisFacts,
    ChassisPower,
)

COLLECTION = "/redfish/v1/Chassis"
USER_VARIABLE, PASSWORD_VARIABLE = "REDFISH_USERNAME", "REDFISH_PASSWORD"

LONGEST_BYTES = 1 << 22
JOULES_PER_KWH = 3.6e6

MOST_NAMED = 8
"""Chassis that a message names."""

MOST_QUOTED = 200
"""Characters of an answer that a message quotes."""

MOST = 1e15
"""No number of a chassis, in W or kWh, reaches this."""

WHOLE = (None, "Chassis", "SystemBoard")
"""PhysicalContext of an entry of PowerControl that is the chassis, not a part such as its CPUs."""

MISMATCHES = (62, 64)
"""X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH of OpenSSL."""
OTHER_NAME = "write a name that the certificate has into `host_power.redfish`"
UNKNOWN_AUTHORITY = "name its authority, or the certificate itself, with `host_power.ca_file`"

REDIRECTS = (301, 302, 307, 308)
"""Answers of some makers' controllers where a path lacks its last slash. The address that they name
is not followed: the password goes to nobody else."""

_NO_ACCESS = (401, 403)


class Service:
    """The Redfish service of one controller. Its connection is kept open between readings, since a
    controller's TLS handshake takes long."""

    def __init__(self, url: str, *, ca_file: str | None) -> None:
        """Args: url: `https://HOST[:PORT]`, or `http` of this host.

        Raises:
            ChassisError: the file with certificates cannot be read.
        """
        parts, environment = urlsplit(url), os.environ
        self.name = parts.netloc
        host = parts.hostname or ""
        if parts.scheme == "https":
            context = _trusting(ca_file)
            self._connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, parts.port, timeout=ANSWER_S, context=context
            )
        else:
            self._connection = http.client.HTTPConnection(host, parts.port, timeout=ANSWER_S)
        self._headers = {"Accept": "application/json", "OData-Version": "4.0"}
        user, password = environment.get(USER_VARIABLE), environment.get(PASSWORD_VARIABLE)
        if user or password:
            secret = b64encode(f"{user or ''}:{password or ''}".encode()).decode()
            self._headers["Authorization"] = f"Basic {secret}"

    def get(self, path: str) -> dict[str, Any] | None:
        """Return a resource; None where the service has none at this path.

        Raises:
            ChassisError: there is no answer, or none that can be used.
        """
        status, content = self._answer(path)
        if status in REDIRECTS and not path.endswith("/"):
            status, content = self._answer(f"{path}/")
        if status == http.client.NOT_FOUND:
            return None
        if status in _NO_ACCESS:
            message = f"{self.name} refuses access ({status}): {self._remedy()}"
            raise ChassisError(REFUSED, message)
        if status != http.client.OK:
            message = f"{self.name} answers {status} at {path}"
            raise ChassisError(REFUSED if status in REDIRECTS else UNREACHABLE, message)
        try:
            resource = json.loads(content)
        except (ValueError, RecursionError):
            resource = None
        if not isinstance(resource, dict):
            raise ChassisError(UNREACHABLE, f"{self.name}{path} is no Redfish resource")
        return resource

    def _answer(self, path: str) -> tuple[int, bytes]:
        kept = self._connection.sock is not None
        try:
            try:
                return self._ask(path)
            except (ConnectionError, http.client.HTTPException):
                self._connection.close()
                if not kept:  # one that was kept may have been closed since
                    raise
                return self._ask(path)
        except ssl.SSLCertVerificationError as error:
            self._connection.close()
            words = f"the certificate of {self.name} is not trusted: {error.verify_message}"
            remedy = OTHER_NAME if error.verify_code in MISMATCHES else UNKNOWN_AUTHORITY
            raise ChassisError(REFUSED, f"{words}; {remedy}") from error
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            message = f"{self.name} does not answer: {_words(error)}"
            raise ChassisError(UNREACHABLE, message) from error

    def _ask(self, path: str) -> tuple[int, bytes]:
        self._connection.request("GET", path, headers=self._headers)
        answer = self._connection.getresponse()
        content = answer.read(LONGEST_BYTES)
        if not answer.isclosed():
            self._connection.close()  # longer than any resource
        return answer.status, content

    def _remedy(self) -> str:
        names = f"{USER_VARIABLE} and {PASSWORD_VARIABLE}"
        return f"check {names}" if "Authorization" in self._headers else f"set {names}"


@dataclass(frozen=True)
class RedfishChassis:
    """A chassis and the resource that its power is read from."""

    service: Service
    about: ChassisFacts
    path: str
    parse: Callable[[Mapping[str, Any]], ChassisPower]

    def power(self) -> ChassisPower:
        resource = self.service.get(self.path)
        if resource is None:
            raise ChassisError(NO_POWER, f"{self.service.name} has no {self.path} any more")
        return self.parse(resource)


def open_chassis(
    url: str, *, chassis: str | None = None, ca_file: str | None = None
) -> RedfishChassis:
    """Return the chassis with this id, or the only one whose power can be read.

    Raises:
        ChassisError: there is none, or several and no id.
    """
    service = Service(url, ca_file=ca_file)
    paths = {path.rstrip("/").rpartition("/")[2]: path for path in _members(service)}
    if chassis is not None and chassis not in paths:
        message = f"{service.name} has no chassis {chassis}, but {_named(paths)}"
        raise ChassisError(NO_POWER, message)
    found = {
        id_: each
        for id_, path in paths.items()
        if chassis in (None, id_) and (each := _with_power(service, id_, path)) is not None
    }
    if not found:
        message = (
            f"{service.name} reports no power of {_named([chassis] if chassis else paths)}: "
            "neither PowerWatts in EnvironmentMetrics nor PowerConsumedWatts in Power has a value"
        )
        raise ChassisError(NO_POWER, message)
    if len(found) > 1:
        message = (
            f"{service.name} reports the power of several chassis, {_named(found)}: name the one "
            "that holds this whole computer with `host_power.chassis`"
        )
        raise ChassisError(NO_POWER, message)
    return next(iter(found.values()))


def _trusting(ca_file: str | None) -> ssl.SSLContext:
    """Return the settings of connections that trust these authorities; None: the system's."""
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        message = f"`host_power.ca_file` {ca_file} holds no certificates that can be read: {error}"
        raise ChassisError(REFUSED, message) from error


def environment_power(resource: Mapping[str, Any]) -> ChassisPower:
    """Return the power in a resource of the schema EnvironmentMetrics."""
    kwh = _number(_part(resource.get("EnergykWh")).get("Reading"))
    watts = _number(_part(resource.get("PowerWatts")).get("Reading"))
    return ChassisPower(watts, None if kwh is None else kwh * JOULES_PER_KWH)


def control_power(resource: Mapping[str, Any]) -> ChassisPower:
    """Return the power in a resource of the schema Power: of the first entry for the whole chassis.

    Some controllers list CPUs and memory as further entries; they are never added.
    """
    listed = resource.get("PowerControl")
    entries = [_part(entry) for entry in listed] if isinstance(listed, list) else []
    whole = [entry for entry in entries if entry.get("PhysicalContext") in WHOLE]
    return ChassisPower(_number(whole[0].get("PowerConsumedWatts")) if whole else None)


def _members(service: Service) -> Iterator[str]:
    """Yield the path of each chassis."""
    collection = service.get(COLLECTION)
    if collection is None:
        raise ChassisError(NO_POWER, f"{service.name} has no {COLLECTION}: no Redfish service")
    listed = collection.get("Members")
    for member in listed if isinstance(listed, list) else ():
        if path := _link(member):
            yield path


def _with_power(service: Service, id_: str, path: str) -> RedfishChassis | None:
    """Return a chassis with the first of its resources that has power; None without one."""
    chassis = service.get(path) or {}
    ways = {"EnvironmentMetrics": environment_power, "Power": control_power}
    for name, parse in ways.items():
        link = _link(chassis.get(name))
        resource = service.get(link) if link else None
        if link and resource is not None and parse(resource).watts:
            return RedfishChassis(service, _about(id_, chassis, name), link, parse)
    return None


def _about(id_: str, chassis: Mapping[str, Any], resource: str) -> ChassisFacts:
    maker = [chassis.get(key) for key in ("Manufacturer", "Model")]
    model = " ".join(word for word in maker if isinstance(word, str) and word)
    return ChassisFacts(model or "unknown chassis", id_, {"redfish_resource": resource})


def _link(reference: Any) -> str | None:
    """Return the path that a reference names, on the same service alone."""
    path = _part(reference).get("@odata.id")
    usable = isinstance(path, str) and path.startswith("/") and path.isascii()
    return path if usable else None


def _part(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(value: Any) -> float | None:
    """Return a number of JSON that power or energy can be; None for null and all else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < MOST else None


def _words(error: Exception) -> str:
    """Describe an error in one printable line: a status line that is none is quoted in it."""
    words = " ".join(str(error).split())[:MOST_QUOTED]
    return "".join(filter(str.isprintable, words)) or type(error).__name__


def _named(ids: Any) -> str:
    names = list(ids)
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more if names else "no chassis"
