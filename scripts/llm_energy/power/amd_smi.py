"""AMD GPUs through AMD SMI of ROCm 7: one pass over the sensors of a GPU, by UUID.

Tested on a simulated library only, not on an AMD GPU. A query that fails leaves only its own
quantity without a value, as with NVML. One thread makes all calls: users report counters that go
backwards when several threads read them (https://github.com/ROCm/amdsmi/issues/115).
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

from llm_energy.power.amd_binding import (
    connected,
    in_one_line,
    number,
    text,
    unit_joules,
)
from llm_energy.power.amd_kinds import kind_of
from llm_energy.power.amd_throttle import read_metrics, throttle_reasons
from llm_energy.power.gpu_targets import GpuRange
from llm_energy.power.meter import (
    Device,
    Quantity,
    Reading,
    Stamp,
    State,
    reading_since,
    warn_unmetered,
)

LOG = logging.getLogger(__name__)

VENDOR = "AMD"
PCI_DEVICES = Path("/sys/bus/pci/devices")

_MICRO = 1e-6
_REASONS = {
    2: "not_supported",
    3: "not_supported",
    8: "timeout",
    31: "gpu_lost",
    32: "driver_reloaded",
    34: "driver_reloaded",
}
"""amdsmi_status_t -> reason code."""


class AmdSmiMeter:
    """The GPUs that AMD SMI lists, or some of them."""

    def __init__(self, smi: Any, only: Collection[str] | None = None) -> None:
        self._smi = smi
        self.unreadable: dict[int, str] = {}
        """Index of a GPU that cannot be metered -> reason code."""
        self._handles = {
            id_: handle for id_, handle in self._listed().items() if only is None or id_ in only
        }
        self._devices = {id_: self._describe(id_, h) for id_, h in self._handles.items()}
        folders = {id_: PCI_DEVICES / str(d.facts["bdf"]) for id_, d in self._devices.items()}
        self._folders = {id_: folder for id_, folder in folders.items() if folder.exists()}
        self._metrics: dict[str, Any] = {}

    @classmethod
    def connect(cls, only: Collection[str] | None = None) -> "AmdSmiMeter":
        """The GPUs of this machine, or those of some UUIDs, which may be none that can be read.

        Raises:
            AmdSmiError: AMD SMI is not there or does not work.
        """
        return cls(connected(), only)

    @property
    def devices(self) -> tuple[Device, ...]:
        return tuple(self._devices.values())

    def read(self, device: Device, *, slow: bool) -> Reading:
        """One pass: each query is stamped on its own, the state follows them."""
        smi, handle = self._smi, self._handles[device.id]
        values: dict[str, float] = {}
        unavailable: dict[str, str] = {"usage_power_watts": "not_supported"}
        stamps: dict[Quantity, Stamp] = {}

        def keep(query: Callable[[], dict[Quantity, float | None]], *names: Quantity) -> None:
            began_s = time.monotonic()
            try:
                found = query()
            except Exception as error:
                reason = "gpu_lost" if self._gone(device) else self._reason(error)
                unavailable.update(dict.fromkeys(names, reason))
                return
            stamp = Stamp.since(began_s)
            for name, value in found.items():
                if value is None:
                    unavailable[name] = "not_supported"
                else:
                    values[name], stamps[name] = value, stamp

        def power() -> dict[Quantity, float | None]:
            watts = smi.amdsmi_get_power_info(handle)
            return {
                "instant_power_watts": number(watts["current_socket_power"]),
                "average_power_watts": number(watts["average_socket_power"]),
            }

        start_s = time.monotonic()
        keep(lambda: {"energy_counter_joules": self._joules(handle)}, "energy_counter_joules")
        keep(power, "instant_power_watts", "average_power_watts")
        found = reading_since(start_s, device, unavailable=unavailable, stamps=stamps, **values)
        return replace(found, state=self._state(device.id, handle)) if slow else found

    def memory_bytes(self, device: Device) -> int | None:
        """The memory of a GPU."""
        query, kind = self._smi.amdsmi_get_gpu_memory_total, self._smi.AmdSmiMemoryType.VRAM
        found: int | None = self._known(query, self._handles[device.id], kind)
        return found

    def cpus(self, device: Device) -> tuple[int, ...] | None:  # noqa: ARG002
        """The CPUs near a GPU: not looked up, since sets of AMD GPUs are refused."""
        return None

    def default_limit_watts(self, device: Device) -> float | None:
        """The power limit that a board is delivered with."""
        return self._cap_watts(self._handles[device.id], "default_power_cap")

    def settable(self, device: Device) -> GpuRange:
        """Return the range that a board can be set to: none, since AMD GPUs are not set."""
        return GpuRange(self.default_limit_watts(device))

    def close(self) -> None:
        try:
            self._smi.amdsmi_shut_down()
        except Exception as error:
            LOG.warning("AMD SMI did not shut down: %s", in_one_line(error))

    def _listed(self) -> dict[str, Any]:
        """Return all GPUs by UUID; by PCI address where boards without serial numbers share one."""
        named = []
        for index, handle in enumerate(self._known(self._smi.amdsmi_get_processor_handles) or ()):
            try:
                uuid = self._smi.amdsmi_get_gpu_device_uuid(handle)
                named.append((uuid, self._smi.amdsmi_get_gpu_device_bdf(handle), handle))
            except Exception as error:
                warn_unmetered(f"GPU {index}", in_one_line(error))
                self.unreadable[index] = self._reason(error)
        times = Counter(uuid for uuid, _, _ in named)
        return {uuid if times[uuid] == 1 else bdf: handle for uuid, bdf, handle in named}

    def _describe(self, id_: str, handle: Any) -> Device:
        smi, known = self._smi, self._known
        asic = known(smi.amdsmi_get_gpu_asic_info, handle) or {}
        driver = (known(smi.amdsmi_get_gpu_driver_info, handle) or {}).get("driver_version")
        architecture = asic.get("target_graphics_version")
        model = text(asic.get("market_name")) or "unknown AMD GPU"
        partition = text(known(smi.amdsmi_get_gpu_compute_partition, handle))
        metrics = known(read_metrics, smi, handle)
        kind = kind_of(model, str(architecture), partition, metrics)
        return Device(
            id=id_,
            model=model,
            scope=kind.scope,
            simulated="simulated" in f"{model} {driver}".lower(),
            refusal=kind.refusal,
            counter_range_joules=kind.counter_range_joules,
            power_limit_watts=self._cap_watts(handle, "power_cap"),
            gpu=True,
            facts={
                "vendor": VENDOR,
                "driver": text(driver),
                "bdf": known(smi.amdsmi_get_gpu_device_bdf, handle),
                "architecture": text(architecture),
                "compute_partition": partition,
                "persistence_mode": None,
                "ecc": None,
                "max_sm_clock_mhz": self._clock_mhz(handle, "GFX", "max_clk"),
                "max_memory_clock_mhz": self._clock_mhz(handle, "MEM", "max_clk"),
            },
        )

    def _joules(self, handle: Any) -> float | None:
        counter = self._smi.amdsmi_get_energy_count(handle)
        units = number(counter["energy_accumulator"])
        return None if units is None else units * unit_joules(counter["counter_resolution"])

    def _state(self, id_: str, handle: Any) -> State:
        smi, known = self._smi, self._known
        activity = known(smi.amdsmi_get_gpu_activity, handle) or {}
        processes = known(smi.amdsmi_get_gpu_process_list, handle)
        before = self._metrics.get(id_)
        metrics = self._metrics[id_] = known(read_metrics, smi, handle)
        return State(
            temperature_celsius=self._celsius(handle),
            sm_clock_mhz=self._clock_mhz(handle, "GFX", "clk"),
            memory_clock_mhz=self._clock_mhz(handle, "MEM", "clk"),
            utilisation_percent=number(activity.get("gfx_activity", "N/A")),
            memory_used_bytes=known(
                smi.amdsmi_get_gpu_memory_usage, handle, smi.AmdSmiMemoryType.VRAM
            ),
            throttle_reasons=throttle_reasons(metrics, before),
            process_ids=None if processes is None else tuple(p["pid"] for p in processes),
            power_limit_watts=self._cap_watts(handle, "power_cap"),
        )

    def _celsius(self, handle: Any) -> float | None:
        """The hottest spot; at the edge of the chip where that is not known."""
        smi = self._smi
        for place in (smi.AmdSmiTemperatureType.HOTSPOT, smi.AmdSmiTemperatureType.EDGE):
            now = smi.AmdSmiTemperatureMetric.CURRENT
            celsius = number(self._known(smi.amdsmi_get_temp_metric, handle, place, now))
            if celsius is not None:
                return celsius
        return None

    def _clock_mhz(self, handle: Any, kind: str, name: str) -> float | None:
        clock = self._known(self._smi.amdsmi_get_clock_info, handle, self._smi.AmdSmiClkType[kind])
        return None if clock is None else number(clock[name])

    def _cap_watts(self, handle: Any, name: str) -> float | None:
        """A power limit; None where there is none."""
        caps = self._known(self._smi.amdsmi_get_power_cap_info, handle)
        microwatts = None if caps is None else number(caps[name])
        return microwatts * _MICRO if microwatts else None

    def _known(self, query: Callable[..., Any], *arguments: Any) -> Any:
        """The answer to a query, None where the device or its driver does not give one."""
        try:
            return query(*arguments)
        except Exception as error:
            LOG.debug("AMD SMI: %r", error)
            return None

    def _gone(self, device: Device) -> bool:
        """True where the PCI device of a GPU was there and is not any more."""
        return device.id in self._folders and not self._folders[device.id].exists()

    def _reason(self, error: Exception) -> str:
        """The reason code of an error; the log has what no code describes."""
        known = _REASONS.get(getattr(error, "err_code", None) or 0)
        if not known:
            LOG.warning("AMD SMI: %s", in_one_line(error))
        return known or "read_failed"
