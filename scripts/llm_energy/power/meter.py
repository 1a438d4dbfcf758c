"""A power meter: its devices, and one reading of one device at one moment.

A meter never computes: readings are what the sensor returned, and energy is computed from the whole
series after the window (see `accounting.py`).
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal, Protocol

LOG = logging.getLogger(__name__)

Scope = Literal[
    "rail",
    "gpu_chip",
    "gpu_board",
    "cpu_package",
    "dram",
    "cpu_socket",
    "module",
    "board",
    "platform",
    "battery",
    "chassis",
    "wall",
]
"""Scope of a sensor's energy; `scopes.py` says what each covers and which hold others. Energies of
different scopes are never compared or ranked."""

Quantity = Literal[
    "energy_counter_joules",
    "instant_power_watts",
    "average_power_watts",
    "usage_power_watts",
    "module_power_watts",
]
QUANTITIES: tuple[Quantity, ...] = (
    "energy_counter_joules",
    "instant_power_watts",
    "average_power_watts",
    "usage_power_watts",
    "module_power_watts",
)
"""The counter, power now, the mean over the last second, what NVML's older call for power says,
which is one of the two by architecture, and power now of the module that the GPU is part of (GPU,
CPU and memory of a superchip)."""


SHARED_HOST = "shared_host"
"""Refusal of the devices that other measurements of the host use at the same time."""

OTHER_HOST = "bmc_elsewhere"
"""Refusal of a controller that need not be the one of this host."""

UNREAD = (SHARED_HOST, OTHER_HOST)
"""Refusals of devices that are not read at all."""


@dataclass(frozen=True)
class Device:
    """One thing that is metered."""

    id: str
    """GPU UUID, RAPL zone such as `intel-rapl:0`, or sensor of the kernel such as
    `hwmon:power_meter:ACPI000D:00:power1`, or `bmc`: one sensor, one identity."""
    model: str
    scope: Scope
    label: str | None = None
    """The kernel's name of a RAPL zone, such as `package-0`, or of a rail; several may bear one."""
    simulated: bool = False
    """True where the sensor is a simulator: its numbers must never be quoted."""
    refusal: str | None = None
    """Reason code where the energy of this device must not be used whatever it reads."""
    counter_range_joules: float | None = None
    """The counter starts again at 0 after this value; None where it never wraps."""
    counter_update_s: float | None = None
    """How often the counter moves, where that is documented; otherwise it is found out."""
    averaging_s: float | None = None
    """Its average power is the mean over so long a time; None: over the last second, as NVML's."""
    own_period_s: float | None = None
    """Time between its readings, where a thread of its own reads it at a rate of its own."""
    power_update_s: float | None = None
    """How often its power moves, as the probe saw it; None: not known from there."""
    power_bound_watts: float | None = None
    """More than the device can draw, where it says so; otherwise its scope's bound holds."""
    power_limit_watts: float | None = None
    """The limit that was enforced when the meter was opened; None where there is none or it is not
    known."""
    facts: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)
    """For the record of the environment: driver, persistence, ECC, clocks and the like."""
    gpu: bool = False
    """True for a GPU whose sensor covers more or less than its board."""

    @property
    def is_gpu(self) -> bool:
        """True for what a campaign on GPUs works on, whatever its sensor covers."""
        return self.gpu or self.scope == "gpu_board"


@dataclass(frozen=True)
class State:
    """Slow quantities, read at 1 Hz; None where the device does not report one."""

    temperature_celsius: float | None = None
    sm_clock_mhz: float | None = None
    memory_clock_mhz: float | None = None
    utilisation_percent: float | None = None
    memory_used_bytes: int | None = None
    throttle_reasons: int | None = None
    """NVML's bit mask (nvmlClocksThrottleReason*)."""
    performance_state: int | None = None
    """0 (fastest) to 15."""
    power_limit_watts: float | None = None
    """The limit that is enforced now."""
    process_ids: tuple[int, ...] | None = None
    """Host ids of the processes that compute on the device."""


@dataclass(frozen=True)
class Stamp:
    """When one quantity was read: within ± half of `read_s` around a moment."""

    monotonic_s: float
    """The middle, on CLOCK_MONOTONIC."""
    read_s: float
    """How long it took."""

    @classmethod
    def since(cls, start_s: float) -> "Stamp":
        """The stamp of what began at `start_s` (CLOCK_MONOTONIC) and ends now."""
        took_s = time.monotonic() - start_s
        return cls(start_s + took_s / 2, took_s)


@dataclass(frozen=True)
class Reading:
    """One pass over the sensors of one device, stamped at its own midpoint."""

    device: str
    monotonic_s: float
    """CLOCK_MONOTONIC, which a host and its containers share."""
    wall_s: float
    """Seconds since 1970, UTC, at the same moment."""
    read_s: float
    """How long the pass took: the sensors were read within ± half of it; nan: not known."""
    energy_counter_joules: float | None = None
    """As the sensor reports it, wraps included."""
    instant_power_watts: float | None = None
    average_power_watts: float | None = None
    usage_power_watts: float | None = None
    module_power_watts: float | None = None
    state: State | None = None
    """None between the slow readings."""
    unavailable: Mapping[str, str] = field(default_factory=dict)
    """Quantity -> reason code, for those that are None."""
    stamps: Mapping[Quantity, Stamp] = field(default_factory=dict)
    """Quantity -> when it was read; one without a stamp of its own has that of the pass."""

    @property
    def has_value(self) -> bool:
        """True where a sensor gave a value."""
        return any(getattr(self, quantity) is not None for quantity in QUANTITIES)

    @property
    def moments_s(self) -> list[float]:
        """When its quantities were read, on CLOCK_MONOTONIC."""
        return [stamp.monotonic_s for stamp in self.stamps.values()] or [self.monotonic_s]

    def stamp(self, quantity: Quantity) -> Stamp:
        """Return when a quantity was read."""
        return self.stamps.get(quantity) or Stamp(self.monotonic_s, self.read_s)


class Meter(Protocol):
    """A source of readings for one or more devices."""

    @property
    def devices(self) -> tuple[Device, ...]: ...

    def read(self, device: Device, *, slow: bool) -> Reading:
        """Read one device now; `slow` asks for its state too.

        A sensor that fails is no exception: its quantity is None, with the reason beside it.
        """
        ...

    def close(self) -> None: ...


@cache
def warn_unmetered(gpu: str, reason: str) -> None:
    """Warn once in this process that a GPU cannot be metered, however often its driver is asked."""
    LOG.warning("%s cannot be metered: %s", gpu, reason)


def reading_since(start_s: float, device: Device, **values: Any) -> Reading:
    """The reading of a pass that began at `start_s` (CLOCK_MONOTONIC) and ends now."""
    end_s, wall_s = time.monotonic(), time.time()
    half_s = (end_s - start_s) / 2
    return Reading(device.id, end_s - half_s, wall_s - half_s, 2 * half_s, **values)
