"""Modes of newer NVIDIA drivers that change what a GPU draws beside its limit and its clocks.

Measurements under different modes are never paired. Not run on a GPU yet.
"""

import ctypes
from collections.abc import Callable, Iterator
from typing import Any

SMOOTHING_ENABLED, SMOOTHING_PRESET, EDPP_MULTIPLIER = 251, 264, 274
"""NVML_FI_PWR_SMOOTHING_ENABLED, NVML_FI_PWR_SMOOTHING_ACTIVE_PRESET_PROFILE and
NVML_FI_DEV_EDPP_MULTIPLIER, of drivers from 570 on."""

_WORD_BITS = 32


def power_modes(nvml: Any, handle: Any) -> str | None:
    """Return the modes that the driver reports, in words; None where it reports none."""
    return "; ".join(_modes(nvml, handle)) or None


def _modes(nvml: Any, handle: Any) -> Iterator[str]:
    smoothing = _field(nvml, handle, SMOOTHING_ENABLED)
    if smoothing is not None:
        preset = _field(nvml, handle, SMOOTHING_PRESET) if smoothing else None
        own = "" if preset is None else f", preset {preset}"
        yield f"power smoothing {'on' if smoothing else 'off'}{own}"
    profiles = _answer(_profiles, nvml, handle)
    if profiles is not None:
        yield f"workload power profiles {', '.join(map(str, profiles)) or 'none'}"
    adaptive = _answer(_adaptive, nvml, handle)
    if adaptive is not None:
        yield f"adaptive TGP {'on' if adaptive else 'off'}"
    edpp = _field(nvml, handle, EDPP_MULTIPLIER)
    if edpp is not None:
        yield f"EDPp multiplier {edpp} %"


def _answer(query: Callable[[Any, Any], Any], nvml: Any, handle: Any) -> Any:
    """Return what a query gives; None where binding, driver or board lack it."""
    try:
        return query(nvml, handle)
    except Exception:
        return None


def _field(nvml: Any, handle: Any, field: int) -> int | None:
    def read(nvml: Any, handle: Any) -> int | None:
        (value,) = nvml.nvmlDeviceGetFieldValues(handle, [field])
        return int(value.value.uiVal) if value.nvmlReturn == nvml.NVML_SUCCESS else None

    found: int | None = _answer(read, nvml, handle)
    return found


def _profiles(nvml: Any, handle: Any) -> list[int]:
    """Return the numbers of the enforced profiles."""
    found = nvml.c_nvmlWorkloadPowerProfileCurrentProfiles_v1_t()
    nvml.nvmlDeviceWorkloadPowerProfileGetCurrentProfiles(handle, ctypes.byref(found))
    words = enumerate(found.enforcedProfilesMask.mask)
    bits = range(_WORD_BITS)
    return [_WORD_BITS * number + bit for number, word in words for bit in bits if word >> bit & 1]


def _adaptive(nvml: Any, handle: Any) -> bool:
    found = nvml.c_nvmlAdaptiveTgpModeInfo_v1_t()
    nvml.nvmlDeviceGetAdaptiveTgpModeInfo_v1(handle, ctypes.byref(found))
    return bool(found.enablementStatus)
