"""The NVIDIA GPUs of this machine, as NVML shows them now."""

import ctypes
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from llm_energy.power.meter import Device, Reading
from llm_energy.power.nvml import LIBRARY, NvmlMeter
from llm_energy.power.sources import probe
from llm_energy.preflight.asking import RefusalError


class NoGpuError(RefusalError):
    """There is no GPU to be seen; the message says why, with the remedy where there is one."""


@dataclass(frozen=True)
class Gpu:
    """One GPU at one moment; None where it does not say."""

    device: Device
    reading: Reading
    """With its state."""
    memory_bytes: int | None = None
    default_limit_watts: float | None = None
    """The power limit that the board is delivered with."""
    update_periods_s: Mapping[str, float | None] = field(default_factory=dict)
    """Quantity -> how often its sensor changes, as far as that was looked at and seen."""

    @property
    def uuid(self) -> str:
        return self.device.id


def read_gpus(*, probed: bool = False) -> list[Gpu]:
    """Every GPU, by UUID, in NVML's order.

    Args:
        probed: whether to watch the sensors for some seconds too, for their update periods.

    Raises:
        NoGpuError: NVML is not there, does not work, or shows none.
    """
    try:
        ctypes.CDLL(LIBRARY)
    except OSError:
        raise NoGpuError(
            "there is no NVIDIA driver (no libnvidia-ml.so.1); where there is a GPU, install it"
        ) from None
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        raise NoGpuError(
            f"the NVIDIA driver does not work: {error}; load its module (`sudo modprobe nvidia`), "
            "or reboot after an update"
        ) from None
    try:
        meter = NvmlMeter.open()
        if meter is None:
            raise NoGpuError("the NVIDIA driver shows no GPU")
        with closing(meter):
            gpus = {d.id: Gpu(d, meter.read(d, slow=True)) for d in meter.devices}
            for id_, abilities in (probe([meter]) if probed else {}).items():
                periods_s = {q: f["update_period_s"] for q, f in abilities["fields"].items()}
                gpus[id_] = replace(gpus[id_], update_periods_s=periods_s)
        return _completed(pynvml, gpus)
    finally:
        pynvml.nvmlShutdown()


def _completed(nvml: Any, gpus: dict[str, Gpu]) -> list[Gpu]:
    """Add what the meter does not read; what does not answer it has logged."""
    for index in range(nvml.nvmlDeviceGetCount()):
        with suppress(nvml.NVMLError, KeyError):
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
            uuid = nvml.nvmlDeviceGetUUID(handle)
            memory = nvml.nvmlDeviceGetMemoryInfo(handle)
            gpus[uuid] = replace(gpus[uuid], memory_bytes=memory.total)
            limit_mw = nvml.nvmlDeviceGetPowerManagementDefaultLimit(handle)
            gpus[uuid] = replace(gpus[uuid], default_limit_watts=limit_mw * 1e-3)
    return list(gpus.values())
