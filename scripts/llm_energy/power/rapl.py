"""Energy of CPU packages and their memory through the kernel's powercap tree (Intel RAPL, and AMD
under the same names).

The counters cover the whole host, not a process. Domains that lie inside a package (core, uncore)
are left out, `psys` is metered for the record; what may be added to what is decided by scope.
"""

import errno
import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from llm_energy.power.meter import SHARED_HOST, Device, Reading, Scope, reading_since
from llm_energy.power.sensor_limits import POWER_BOUNDS_WATTS
from llm_energy.power.sysfs import known_number, number, text

LOG = logging.getLogger(__name__)

UPDATE_S = 0.001
"""Intel SDM volume 3B, 15.10: the counters are updated about every millisecond."""

BOUND_OVER_LIMIT = 2.0
"""Short peaks pass a zone's highest stated limit; none reaches twice of it. Provisional."""

LEAST_BOUND_WATTS = 200.0
"""Firmware raises the limits of mobile processors under load, so that a bound from their limit at
rest is no lower than this."""

_MICRO = 1e-6


class RaplMeter:
    """The RAPL zones below one powercap folder."""

    def __init__(self, zones: Sequence[tuple[Device, Path]]) -> None:
        self._counters = {device.id: counter for device, counter in zones}
        self.devices = tuple(device for device, _ in zones)

    @classmethod
    def open(cls, root: Path, *, cpu_model: str, shared: bool = False) -> "RaplMeter | None":
        """The meter of this machine, None where it has no RAPL zone.

        A zone whose counter cannot be read is a device all the same: its readings say why, and a
        sum that needs it has no energy.

        Args:
            shared: other measurements use the host meanwhile, so that no energy of it is anybody's.
        """
        # `intel-rapl-mmio:*` shows the same packages a second time.
        found = (_zone(path, cpu_model) for path in sorted(root.glob("intel-rapl:*")))
        zones = [zone for zone in found if zone is not None]
        if shared:
            zones = [(replace(device, refusal=SHARED_HOST), file) for device, file in zones]
        return cls(zones) if zones else None

    def read(self, device: Device, *, slow: bool) -> Reading:  # noqa: ARG002 - nothing is slow here
        start_s = time.monotonic()
        try:
            joules = number(self._counters[device.id].read_text()) * _MICRO
        except (OSError, ValueError) as error:
            code = error.errno if isinstance(error, OSError) else None
            denied = code in (errno.EACCES, errno.EPERM)
            reason = "permission_denied" if denied else "rapl_unreadable"
            return reading_since(start_s, device, unavailable={"energy_counter_joules": reason})
        return reading_since(start_s, device, energy_counter_joules=joules)

    def close(self) -> None:
        """Nothing stays open between readings."""


def _zone(folder: Path, cpu_model: str) -> tuple[Device, Path] | None:
    label, scope = _name(folder), _scope(folder)
    if scope is None:
        return None
    if scope == "dram":
        package = folder.with_name(folder.name.rpartition(":")[0])
        label = f"{_name(package) or package.name}/{label}"
    device = Device(
        id=folder.name,
        model=cpu_model,
        scope=scope,
        label=label,
        # without its name a zone may hold others, as psys does
        refusal=None if label else "rapl_unreadable",
        counter_range_joules=_number(folder / "max_energy_range_uj"),
        counter_update_s=UPDATE_S,
        power_bound_watts=_power_bound_watts(folder, scope),
    )
    return device, folder / "energy_uj"


def _scope(folder: Path) -> Scope | None:
    name = _name(folder)
    if name is None:
        # In containers the links dangle. A zone of its own may be a package: the sum lacks it.
        LOG.warning("%s cannot be read", folder)
        return "cpu_package" if folder.name.count(":") == 1 else None
    if name.startswith("package"):
        return "cpu_package"
    scopes: dict[str, Scope] = {"psys": "platform", "dram": "dram"}
    return scopes.get(name)


def _power_bound_watts(folder: Path, scope: Scope) -> float:
    """More than a zone can draw, by the limits that the kernel states for it where it has any."""
    largest = POWER_BOUNDS_WATTS[scope]
    if text(folder / "enabled") == "0":
        return largest
    files = [
        *folder.glob("constraint_*_power_limit_uw"),
        *folder.glob("constraint_*_max_power_uw"),
    ]
    stated = max((_number(file) or 0.0 for file in files), default=0.0)
    if not stated:
        return largest
    return min(largest, max(LEAST_BOUND_WATTS, BOUND_OVER_LIMIT * stated))


def _name(folder: Path) -> str | None:
    return text(folder / "name")


def _number(file: Path) -> float | None:
    """A positive number of a file in its unit, which the kernel gives in millionths."""
    return (known_number(file) or 0) * _MICRO or None
