"""The controller (BMC) that reports the power of the whole chassis."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from llm_energy.campaign.types import Alternatives, Filled, Model, Text

ADDRESS = (
    r"^(https://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\])|http://(localhost|127\.[0-9.]+|\[::1\]))"
    r"(:[0-9]{1,5})?/?$"
)
"""A password is sent over TLS, or to this host alone."""


def _address(url: str) -> str:
    # The message never repeats the address, which may hold a password.
    if re.fullmatch(ADDRESS, url) is None:
        raise PydanticCustomError(
            "kind",
            "must be like https://HOST or https://HOST:PORT, without user, password and path; http "
            "only on this host",
        )
    return url


class Redfish(Model):
    """The Redfish service of this host's BMC. User name and password are read from the environment
    variables `REDFISH_USERNAME` and `REDFISH_PASSWORD`; they are stored nowhere."""

    redfish: Annotated[str, AfterValidator(_address), Field(json_schema_extra={"pattern": ADDRESS})]
    """Its address, such as `https://bmc7.example`; `http` only on this host."""
    chassis: Text | None = None
    """Id of the chassis that holds this whole computer. Default: the only one with power."""
    ca_file: Text | None = None
    """PEM file with the authority of its certificate, or with the certificate itself where it signs
    itself. Default: the authorities of the system."""

    @property
    def absolute_ca_file(self) -> str | None:
        return str(Path(self.ca_file).absolute()) if self.ca_file else None


HostPower = Redfish | Literal["ipmi"]
_MESSAGE = "must be `ipmi`, or {redfish: https://HOST}"
DeclaredHostPower = Annotated[
    Annotated[HostPower, Alternatives(dict, "ipmi", message=_MESSAGE)] | None,
    Filled(_MESSAGE),
]
