"""Why an AMD GPU runs below its clocks, in the bits that NVML has for it.

Older GPUs report a mask of throttlers (SMU_THROTTLER_* of the kernel's amdgpu_smu.h), which the
binding folds to one truth value: the structure is read instead. From MI300 on there is no mask, but
times that each kind of throttling has lasted. Not run on an AMD GPU.
"""

import ctypes
from typing import Any

POWER_CAP, THERMAL = 0x4, 0x40
"""`software_power_cap` and `hardware_thermal` (see `plausibility.THROTTLE_REASONS`)."""

_POWER_AND_CURRENT, _HEAT = (1 << 32) - 1, ((1 << 48) - 1) ^ ((1 << 32) - 1)
"""Throttlers by what they limit: power and current, or temperature and signals of heat."""

_NO_MASK = (1 << 64) - 1
_LASTED = {
    "ppt_residency_acc": POWER_CAP,
    "prochot_residency_acc": THERMAL,
    "socket_thm_residency_acc": THERMAL,
    "vr_thm_residency_acc": THERMAL,
    "hbm_thm_residency_acc": THERMAL,
}


def read_metrics(smi: Any, handle: Any) -> Any:
    """Return the table of a GPU's firmware.

    Raises:
        AmdSmiLibraryException: the GPU has none.
    """
    binding = smi.amdsmi_interface.amdsmi_wrapper
    found = binding.amdsmi_gpu_metrics_t()
    if code := binding.amdsmi_get_gpu_metrics_info(handle, ctypes.byref(found)):
        raise smi.AmdSmiLibraryException(code)
    return found


def throttle_reasons(now: Any, before: Any) -> int | None:
    """Return the reasons of a GPU: of this moment, or since an earlier table; None: not known."""
    if now is None:
        return None
    mask = now.indep_throttle_status
    if mask != _NO_MASK:
        return (POWER_CAP if mask & _POWER_AND_CURRENT else 0) | (THERMAL if mask & _HEAT else 0)
    lasted = {name: bit for name, bit in _LASTED.items() if getattr(now, name) != _NO_MASK}
    if before is None or not lasted:
        return None
    found = 0
    for name, bit in lasted.items():
        found |= bit if getattr(now, name) > getattr(before, name) else 0
    return found
