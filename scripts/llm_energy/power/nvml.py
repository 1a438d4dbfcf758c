"""NVIDIA GPUs through NVML: one pass over the sensors of a GPU, by UUID.

A query that a GPU or its driver does not have costs its own quantity only. The energy counter
needs Volta or newer; the fields of instant and average power need a driver of 2023 or newer, and
GA100 has no average at all.
"""

import ctypes
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from llm_energy.power.meter import Device, Reading, State, reading_since

LOG = logging.getLogger(__name__)

LIBRARY = "libnvidia-ml.so.1"
FIELD_AVERAGE, FIELD_INSTANT = 185, 186
"""NVML_FI_DEV_POWER_AVERAGE (over 1 s) and NVML_FI_DEV_POWER_INSTANT, in mW."""

_MILLI = 1e-3
_SM_CLOCK, _MEMORY_CLOCK, _GPU_SENSOR = 1, 2, 0


class NvmlMeter:
    """All GPUs that NVML lists."""

    def __init__(self, nvml: Any) -> None:
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
        self._handles: dict[str, Any] = {}
        self._devices: dict[str, Device] = {}
        for index in range(nvml.nvmlDeviceGetCount()):
            try:
                handle = nvml.nvmlDeviceGetHandleByIndex(index)
                uuid = nvml.nvmlDeviceGetUUID(handle)
            except nvml.NVMLError as error:
                LOG.warning("GPU %d cannot be metered: %s", index, error)
                continue
            self._handles[uuid] = handle  # one device, however often it is listed
            self._devices[uuid] = self._describe(uuid, handle)

    @classmethod
    def open(cls) -> "NvmlMeter | None":
        """The GPUs of this machine; None without NVML, a working driver or a GPU."""
        try:
            ctypes.CDLL(LIBRARY)
        except OSError:
            return None
        import pynvml

        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            LOG.warning("NVML is there but does not work, no GPU is metered: %s", error)
            return None
        meter = cls(pynvml)
        if meter.devices:
            return meter
        meter.close()
        return None

    @property
    def devices(self) -> tuple[Device, ...]:
        return tuple(self._devices.values())

    def read(self, device: Device, *, slow: bool) -> Reading:
        """One pass: counter, fields and power are stamped together, the state follows them."""
        nvml, handle = self._nvml, self._handles[device.id]
        values: dict[str, float] = {}
        unavailable: dict[str, str] = {}

        def keep(quantity: str, query: Callable[[], float]) -> None:
            try:
                values[quantity] = query() * _MILLI
            except nvml.NVMLError as error:
                unavailable[quantity] = self._reasons.get(error.value, "read_failed")

        start_s = time.monotonic()
        keep("energy_counter_joules", lambda: nvml.nvmlDeviceGetTotalEnergyConsumption(handle))
        keep("instant_power_watts", lambda: self._field(handle, FIELD_INSTANT))
        keep("average_power_watts", lambda: self._field(handle, FIELD_AVERAGE))
        keep("usage_power_watts", lambda: nvml.nvmlDeviceGetPowerUsage(handle))
        found = reading_since(start_s, device, unavailable=unavailable, **values)
        return replace(found, state=self._state(handle)) if slow else found

    def close(self) -> None:
        try:
            self._nvml.nvmlShutdown()
        except self._nvml.NVMLError as error:
            LOG.warning("NVML did not shut down: %s", error)

    def _field(self, handle: Any, field: int) -> int:
        (value,) = self._nvml.nvmlDeviceGetFieldValues(handle, [field])
        if value.nvmlReturn != self._nvml.NVML_SUCCESS:
            raise self._nvml.NVMLError(value.nvmlReturn)
        milliwatts: int = value.value.uiVal
        return milliwatts

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
        )

    def _describe(self, uuid: str, handle: Any) -> Device:
        nvml, known = self._nvml, self._known
        model = known(nvml.nvmlDeviceGetName, handle) or "unknown NVIDIA GPU"
        driver = known(nvml.nvmlSystemGetDriverVersion)
        limit_mw = known(nvml.nvmlDeviceGetEnforcedPowerLimit, handle)
        mig = known(nvml.nvmlDeviceGetMigMode, handle)
        ecc = known(nvml.nvmlDeviceGetEccMode, handle)
        persistence = known(nvml.nvmlDeviceGetPersistenceMode, handle)
        return Device(
            id=uuid,
            model=model,
            scope="gpu_board",
            simulated="simulated" in f"{model} {driver}".lower(),
            refusal="mig_enabled" if mig and mig[0] else None,
            power_limit_watts=None if limit_mw is None else limit_mw * _MILLI,
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
            },
        )

    def _known(self, query: Callable[..., Any], *arguments: Any) -> Any:
        """The answer to a query, None where the device or its driver does not give one."""
        try:
            return query(*arguments)
        except self._nvml.NVMLError:
            return None
