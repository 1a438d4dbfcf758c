"""Power of the whole chassis as its management controller (BMC) reports it: the interface of its
two ways, Redfish and IPMI, and their one kind of error."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # the campaign's models would cost every measuring job 0.1 s
    from llm_energy.campaign.host_power_settings import HostPower

UNREACHABLE = "bmc_unreachable"
"""Worth another try: a controller that starts, or is busy, may answer with anything."""
REFUSED = "bmc_refused"
"""Worth none: it would refuse again, and might lock the account."""
NO_POWER = "bmc_no_power"

ANSWER_S = 4.0
"""Deadline of one answer; controllers that are busy take one or two seconds."""


class ChassisError(Exception):
    """A controller that gives no power; the message says why, in one line with the remedy."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class ChassisPower:
    """One answer of a controller; None is what it does not report."""

    watts: float | None
    joules: float | None = None
    """Its energy counter."""


@dataclass(frozen=True)
class ChassisFacts:
    """Description of a chassis, for the record of the environment."""

    model: str
    label: str | None = None
    facts: dict[str, str | int | float | bool | None] = field(default_factory=dict)


class Chassis(Protocol):
    """A chassis whose power can be read."""

    @property
    def about(self) -> ChassisFacts: ...

    def power(self) -> ChassisPower:
        """Read its power now.

        Raises:
            ChassisError: the controller does not give it.
        """
        ...


@dataclass(frozen=True)
class HostPowerSource:
    """The controller of this host, as a campaign declares it."""

    redfish: str | None = None
    """Address of its Redfish service; None: IPMI of this host."""
    chassis: str | None = None
    """Id of the chassis; None: the only one with power."""
    ca_file: str | None = None
    elsewhere: bool = False
    """True where the address need not be that of this host."""

    @classmethod
    def of(cls, declared: "HostPower | None") -> "HostPowerSource | None":
        """Return what a campaign declares; None where it declares nothing."""
        if declared is None or isinstance(declared, str):
            return None if declared is None else cls()
        return cls(declared.redfish, declared.chassis, declared.absolute_ca_file)
