"""The meter of a chassis: read at the slow rate of its controller, and never waited for."""

import logging
import time

from llm_energy.power.chassis import (
    NO_POWER,
    REFUSED,
    Chassis,
    ChassisError,
    ChassisFacts,
    ChassisPower,
    HostPowerSource,
)
from llm_energy.power.deadline import READ_DEADLINE_S, DriverCalls
from llm_energy.power.ipmi import IpmiChassis
from llm_energy.power.meter import Device, Reading, reading_since
from llm_energy.power.redfish import open_chassis

LOG = logging.getLogger(__name__)

DEVICE = "bmc"
"""Its identity: a host has one controller, however it is read."""

PERIOD_S = 1.0
"""Time between two readings. Controllers look at their sensors about once a second, or less."""

OPEN_DEADLINE_S = 10.0
"""How long a measurement waits for the controller before it starts without."""


def connect(source: HostPowerSource) -> Chassis:
    """Find the chassis.

    Raises:
        ChassisError: it is not there, or not known.
    """
    if source.redfish is None:
        return IpmiChassis.open()
    return open_chassis(source.redfish, chassis=source.chassis, ca_file=source.ca_file)


class ChassisMeter:
    """One chassis; one that does not answer is a device all the same, whose readings say why."""

    def __init__(self, source: HostPowerSource, *, refusal: str | None = None) -> None:
        """Args: refusal: reason why its energy belongs to no measurement; it is then not read."""
        self._source = source
        self._calls = DriverCalls()
        self._chassis: Chassis | None = None
        self._refused: ChassisError | None = None
        if refusal is None:
            try:
                self._calls.call(self._connected, deadline_s=OPEN_DEADLINE_S)
            except (TimeoutError, ChassisError) as error:
                LOG.warning("the chassis is not metered: %s", str(error) or "no answer in time")
        about = self._chassis.about if self._chassis else ChassisFacts("unknown chassis")
        device = Device(
            id=DEVICE,
            model=about.model,
            scope="chassis",
            label=about.label,
            refusal=refusal,
            own_period_s=PERIOD_S,
            facts=about.facts,
        )
        self.devices = (device,)

    def read(self, device: Device, *, slow: bool) -> Reading:  # noqa: ARG002 - nothing is slow here
        start_s = time.monotonic()
        try:
            power = self._calls.call(self._power, deadline_s=READ_DEADLINE_S)
        except TimeoutError:
            return _without(start_s, device, "timeout")
        except ChassisError as error:
            LOG.info("the chassis: %s", error)
            return _without(start_s, device, error.reason)
        if not power.watts:
            return _without(start_s, device, NO_POWER)
        return reading_since(
            start_s,
            device,
            instant_power_watts=power.watts,
            energy_counter_joules=power.joules,
            unavailable={} if power.joules else {"energy_counter_joules": "not_supported"},
        )

    def close(self) -> None:
        self._calls.end()

    def _connected(self) -> Chassis:
        """Return the chassis; one that refused is not tried again, which could lock the account."""
        if self._refused is not None:
            raise self._refused
        try:
            self._chassis = self._chassis or connect(self._source)
        except ChassisError as error:
            self._refused = error if error.reason == REFUSED else None
            raise
        return self._chassis

    def _power(self) -> ChassisPower:
        return self._connected().power()


def _without(start_s: float, device: Device, reason: str) -> Reading:
    missing = ("instant_power_watts", "energy_counter_joules")
    return reading_since(start_s, device, unavailable=dict.fromkeys(missing, reason))
