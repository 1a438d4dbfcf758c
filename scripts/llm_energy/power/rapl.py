"""Energy of CPU packages and their memory through the kernel's powercap tree (Intel RAPL, and AMD
under the same names).

The counters cover the whole host, not a process. Domains that lie inside a package (core, uncore)
are left out, `psys` is metered for the record; what may be added to what is decided by scope.
"""

import errno
import time
from collections.abc import Sequence
from pathlib import Path

from llm_energy.power.meter import Device, Reading, Scope, reading_since

POWERCAP = Path("/sys/class/powercap")

UPDATE_S = 0.001
"""Intel SDM volume 3B, 15.10: the counters are updated about every millisecond."""

_MICROJOULE = 1e-6


class RaplMeter:
    """The RAPL domains below one powercap folder."""

    def __init__(self, domains: Sequence[tuple[Device, Path]]) -> None:
        self._counters = {device.id: counter for device, counter in domains}
        self.devices = tuple(device for device, _ in domains)

    @classmethod
    def open(cls, root: Path = POWERCAP, *, cpu_model: str) -> "RaplMeter | None":
        """The meter of this machine, None where it has no RAPL domain.

        A domain whose counter may not be read is a device all the same: its readings say why.
        """
        # `intel-rapl-mmio:*` shows the same packages a second time.
        found = (_domain(path, cpu_model) for path in sorted(root.glob("intel-rapl:*")))
        domains = [domain for domain in found if domain is not None]
        return cls(domains) if domains else None

    def read(self, device: Device, *, slow: bool) -> Reading:  # noqa: ARG002 - nothing is slow here
        start_s = time.monotonic()
        try:
            joules = int(self._counters[device.id].read_text()) * _MICROJOULE
        except OSError as error:
            denied = error.errno in (errno.EACCES, errno.EPERM)
            reason = "permission_denied" if denied else "read_failed"
            return reading_since(start_s, device, unavailable={"energy_counter_joules": reason})
        return reading_since(start_s, device, energy_counter_joules=joules)

    def close(self) -> None:
        """Nothing stays open between readings."""


def _domain(folder: Path, cpu_model: str) -> tuple[Device, Path] | None:
    name = (folder / "name").read_text().strip()
    scope: Scope
    if name.startswith("package"):
        identity, scope = name, "cpu_package"
    elif name == "psys":
        identity, scope = name, "platform"
    elif name == "dram":
        package = folder.with_name(folder.name.rpartition(":")[0])
        identity, scope = f"{(package / 'name').read_text().strip()}/dram", "dram"
    else:
        return None
    device = Device(
        id=identity,
        model=cpu_model,
        scope=scope,
        counter_range_joules=int((folder / "max_energy_range_uj").read_text()) * _MICROJOULE,
        counter_update_s=UPDATE_S,
    )
    return device, folder / "energy_uj"
