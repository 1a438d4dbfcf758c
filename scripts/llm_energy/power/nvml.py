"""NVIDIA GPUs through NVML: one pass over the sensors of a GPU, by UUID.

A query that a GPU or its driver does not have, or answers badly, costs its own quantity only: no
answer of a driver raises beyond the meter, not even a name that is no text. The energy counter
needs Volta or newer; the fields of instant and average power need a driver of 2023 or newer, and
GA100 has no average at all.
"""

import ctypes
import logging
import os
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from typing import Any

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
from llm_energy.power.nvml_power_modes import power_modes

LOG = logging.getLogger(__name__)

LIBRARY = "libnvidia-ml.so.1"
FIELD_AVERAGE, FIELD_INSTANT = 185, 186
"""NVML_FI_DEV_POWER_AVERAGE (over 1 s) and NVML_FI_DEV_POWER_INSTANT, in mW.

Each is read of a scope (NVML_POWER_SCOPE_*): the GPU, or the module with the CPU and the memory
beside it, which superchips such as GH200 have.
"""

_MILLI = 1e-3
_WORD_BITS = 64
"""Bits of an element of NVML's masks of CPUs."""
_SM_CLOCK, _MEMORY_CLOCK, _GPU_SENSOR = 1, 2, 0


class NvmlError(Exception):
    """There is no GPU to be seen; the message says why, with the remedy where there is one."""


class NvmlMeter:
    """The GPUs that NVML lists, or some of them."""

    def __init__(self, nvml: Any, only: Collection[str] | None = None) -> None:
        """Args: only: UUIDs of the GPUs to query, and no others. None: all GPUs."""
        self._nvml = nvml
        self._reasons = {
            nvml.NVML_ERROR_NOT_SUPPORTED: "not_supported",
            nvml.NVML_ERROR_FUNCTION_NOT_FOUND: "not_supported",
            nvml.NVML_ERROR_GPU_IS_LOST: "gpu_lost",
            nvml.NVML_ERROR_RESET_REQUIRED: "gpu_lost",
            nvml.NVML_ERROR_TIMEOUT: "timeout",
            nvml.NVML_ERROR_UNINITIALIZED: "driver_reloaded",
            nvml.NVML_ERROR_DRIVER_NOT_LOADED: "driver_reloaded",
            nvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: "driver_reloaded",
        }
        self.unreadable: dict[int, str] = {}
        """Index of a GPU that cannot be metered -> reason code."""
        # One device, however often it is listed.
        self._handles = dict(self._listed() if only is None else self._named(only))
        self._devices = {uuid: self._describe(uuid, h) for uuid, h in self._handles.items()}
        self._fields = {uuid: self._fields_of(handle) for uuid, handle in self._handles.items()}

    @classmethod
    def connect(cls, only: Collection[str] | None = None) -> "NvmlMeter":
        """The GPUs of this machine, or those of some UUIDs, which may be none that can be read.

        Raises:
            NvmlError: NVML is not there or does not work.
        """
        try:
            ctypes.CDLL(LIBRARY)
        except OSError:
            raise NvmlError(
                "there is no NVIDIA driver (no libnvidia-ml.so.1); where there is a GPU, install it"
            ) from None
        import pynvml

        try:
            pynvml.nvmlInit()
        except Exception as error:
            raise NvmlError(
                f"the NVIDIA driver does not work: {error}; load its module "
                "(`sudo modprobe nvidia`), or reboot after an update"
            ) from None
        return cls(pynvml, only)

    @property
    def devices(self) -> tuple[Device, ...]:
        return tuple(self._devices.values())

    def read(self, device: Device, *, slow: bool) -> Reading:
        """One pass: each query is stamped on its own, the state follows them. One query gives all
        fields, each with an error of its own: where the driver finds several in one call of its
        own, it makes that once."""
        nvml, handle = self._nvml, self._handles[device.id]
        values: dict[str, float] = {}
        unavailable: dict[str, str] = {}
        stamps: dict[Quantity, Stamp] = {}

        def keep(quantity: Quantity, query: Callable[[], float]) -> None:
            began_s = time.monotonic()
            try:
                milli = query()
            except Exception as error:
                unavailable[quantity] = self._reason(error)
                return
            stamps[quantity] = Stamp.since(began_s)
            values[quantity] = milli * _MILLI

        start_s = time.monotonic()
        keep("energy_counter_joules", lambda: nvml.nvmlDeviceGetTotalEnergyConsumption(handle))
        fields = self._fields[device.id]
        began_s = time.monotonic()
        try:
            found = nvml.nvmlDeviceGetFieldValues(handle, list(fields.values()))
        except Exception as error:
            unavailable.update(dict.fromkeys(fields, self._reason(error)))
        else:
            stamp = Stamp.since(began_s)
            for quantity, field in zip(fields, found, strict=True):
                if field.nvmlReturn == nvml.NVML_SUCCESS:
                    stamps[quantity], values[quantity] = stamp, field.value.uiVal * _MILLI
                else:
                    unavailable[quantity] = self._reason(nvml.NVMLError(field.nvmlReturn))
        keep("usage_power_watts", lambda: nvml.nvmlDeviceGetPowerUsage(handle))
        reading = reading_since(start_s, device, unavailable=unavailable, stamps=stamps, **values)
        return replace(reading, state=self._state(handle)) if slow else reading

    def memory_bytes(self, device: Device) -> int | None:
        """The memory of a GPU."""
        memory = self._known(self._nvml.nvmlDeviceGetMemoryInfo, self._handles[device.id])
        return None if memory is None else int(memory.total)

    def cpus(self, device: Device) -> tuple[int, ...] | None:
        """The CPUs near a GPU; None where the driver does not know."""
        words = -(-(os.cpu_count() or 1) // _WORD_BITS)
        mask = self._known(self._nvml.nvmlDeviceGetCpuAffinity, self._handles[device.id], words)
        bits = range(_WORD_BITS)
        near = [
            _WORD_BITS * number + bit
            for number, word in enumerate(mask or ())
            for bit in bits
            if word >> bit & 1
        ]
        return tuple(near) or None

    def default_limit_watts(self, device: Device) -> float | None:
        """The power limit that a board is delivered with."""
        query = self._nvml.nvmlDeviceGetPowerManagementDefaultLimit
        return self._limit_watts(query, self._handles[device.id])

    def settable(self, device: Device) -> GpuRange:
        """Return the range that a board can be set to."""
        nvml, handle, facts = self._nvml, self._handles[device.id], device.facts
        limits = self._known(nvml.nvmlDeviceGetPowerManagementLimitConstraints, handle)
        least, most = (_MILLI * each for each in limits) if limits else (None, None)
        clocks = (facts["max_sm_clock_mhz"], facts["max_memory_clock_mhz"])
        sm_mhz, memory_mhz = (None if mhz is None else float(mhz) for mhz in clocks)
        return GpuRange(self.default_limit_watts(device), least, most, sm_mhz, memory_mhz)

    def close(self) -> None:
        try:
            self._nvml.nvmlShutdown()
        except Exception as error:
            LOG.warning("NVML did not shut down: %s", error)

    def _listed(self) -> Iterator[tuple[str, Any]]:
        """Yield (UUID, handle) of all GPUs; those that cannot be metered become `unreadable`."""
        for index in range(self._known(self._nvml.nvmlDeviceGetCount) or 0):
            try:
                handle = self._nvml.nvmlDeviceGetHandleByIndex(index)
                uuid = self._nvml.nvmlDeviceGetUUID(handle)
            except Exception as error:
                warn_unmetered(f"GPU {index}", str(error))
                self.unreadable[index] = self._reason(error)
                continue
            yield uuid, handle

    def _named(self, uuids: Collection[str]) -> Iterator[tuple[str, Any]]:
        """Yield (UUID, handle) of some GPUs; those that cannot be metered are left out."""
        for uuid in uuids:
            try:
                yield uuid, self._nvml.nvmlDeviceGetHandleByUUID(uuid)
            except Exception as error:
                warn_unmetered(uuid, str(error))

    def _fields_of(self, handle: Any) -> dict[Quantity, tuple[int, int]]:
        """Return the (field, scope) of each quantity that is read as a field."""
        gpu, of_module = self._nvml.NVML_POWER_SCOPE_GPU, self._nvml.NVML_POWER_SCOPE_MODULE
        fields: dict[Quantity, tuple[int, int]] = {
            "instant_power_watts": (FIELD_INSTANT, gpu),
            "average_power_watts": (FIELD_AVERAGE, gpu),
        }
        module = (FIELD_INSTANT, of_module)
        found = self._known(self._nvml.nvmlDeviceGetFieldValues, handle, [module])
        if found and found[0].nvmlReturn == self._nvml.NVML_SUCCESS:
            fields["module_power_watts"] = module
        return fields

    def _state(self, handle: Any) -> State:
        nvml, known = self._nvml, self._known
        utilisation = known(nvml.nvmlDeviceGetUtilizationRates, handle)
        memory = known(nvml.nvmlDeviceGetMemoryInfo, handle)
        processes = known(nvml.nvmlDeviceGetComputeRunningProcesses, handle)
        return State(
            temperature_celsius=known(nvml.nvmlDeviceGetTemperature, handle, _GPU_SENSOR),
            sm_clock_mhz=known(nvml.nvmlDeviceGetClockInfo, handle, _SM_CLOCK),
            memory_clock_mhz=known(nvml.nvmlDeviceGetClockInfo, handle, _MEMORY_CLOCK),
            utilisation_percent=utilisation and utilisation.gpu,
            memory_used_bytes=memory and memory.used,
            throttle_reasons=known(nvml.nvmlDeviceGetCurrentClocksThrottleReasons, handle),
            performance_state=known(nvml.nvmlDeviceGetPerformanceState, handle),
            process_ids=None if processes is None else tuple(p.pid for p in processes),
            power_limit_watts=self._limit_watts(nvml.nvmlDeviceGetEnforcedPowerLimit, handle),
        )

    def _describe(self, uuid: str, handle: Any) -> Device:
        nvml, known = self._nvml, self._known
        model = known(nvml.nvmlDeviceGetName, handle) or "unknown NVIDIA GPU"
        driver = known(nvml.nvmlSystemGetDriverVersion)
        mig = known(nvml.nvmlDeviceGetMigMode, handle)
        ecc = known(nvml.nvmlDeviceGetEccMode, handle)
        persistence = known(nvml.nvmlDeviceGetPersistenceMode, handle)
        modes = power_modes(nvml, handle)
        return Device(
            id=uuid,
            model=model,
            scope="gpu_board",
            simulated="simulated" in f"{model} {driver}".lower(),
            refusal="mig_enabled" if mig and mig[0] else None,
            power_limit_watts=self._limit_watts(nvml.nvmlDeviceGetEnforcedPowerLimit, handle),
            facts={
                "driver": driver,
                "persistence_mode": None if persistence is None else bool(persistence),
                "ecc": None if ecc is None else bool(ecc[0]),
                "mig": None if mig is None else bool(mig[0]),
                "architecture": known(nvml.nvmlDeviceGetArchitecture, handle),
                "max_sm_clock_mhz": known(nvml.nvmlDeviceGetMaxClockInfo, handle, _SM_CLOCK),
                "max_memory_clock_mhz": known(
                    nvml.nvmlDeviceGetMaxClockInfo, handle, _MEMORY_CLOCK
                ),
                **({"power_modes": modes} if modes else {}),
            },
        )

    def _limit_watts(self, query: Callable[..., int], handle: Any) -> float | None:
        """A power limit; None where there is none, which some drivers give as 0."""
        milliwatts = self._known(query, handle)
        return milliwatts * _MILLI if milliwatts else None

    def _known(self, query: Callable[..., Any], *arguments: Any) -> Any:
        """The answer to a query, None where the device or its driver does not give one."""
        try:
            return query(*arguments)
        except Exception as error:
            LOG.debug("NVML: %r", error)
            return None

    def _reason(self, error: Exception) -> str:
        """The reason code of an error; the log has what no code describes."""
        known = isinstance(error, self._nvml.NVMLError) and self._reasons.get(error.value)
        if not known:
            LOG.warning("NVML: %r", error)
        return known or "read_failed"
