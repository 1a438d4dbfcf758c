"""The GPUs of this machine: NVIDIA's by NVML, and only where there are none, AMD's by AMD SMI."""

import logging
from collections.abc import Collection
from pathlib import Path

from llm_energy.power.amd_binding import AmdSmiError
from llm_energy.power.amd_smi import AmdSmiMeter
from llm_energy.power.nvml import NvmlError, NvmlMeter

LOG = logging.getLogger(__name__)

AMD_DRIVER = Path("/sys/module/amdgpu")
"""Folder of the kernel's driver of AMD GPUs, where it is loaded."""


class GpuDriverError(Exception):
    """There is no GPU to be seen; the message says why, with the remedy where there is one."""


def connect_gpus(only: Collection[str] | None = None) -> NvmlMeter | AmdSmiMeter:
    """The GPUs of this machine, or those of some UUIDs, which may be none that can be read.

    Raises:
        GpuDriverError: no driver is there, or none works.
    """
    nvidia: NvmlMeter | None = None
    why = ""
    try:
        nvidia = NvmlMeter.connect(only)
        if nvidia.devices or nvidia.unreadable:
            return nvidia
    except NvmlError as error:
        why = str(error)
    try:
        amd = AmdSmiMeter.connect(only)
    except AmdSmiError as error:
        if nvidia is not None:
            return nvidia
        raise GpuDriverError(f"{why}; {error}" if AMD_DRIVER.exists() else why) from None
    if nvidia is not None:
        nvidia.close()
    return amd


def open_gpus(only: Collection[str] | None = None) -> NvmlMeter | AmdSmiMeter | None:
    """The GPUs of this machine, or those of some UUIDs; None without a working driver or a GPU."""
    try:
        meter = connect_gpus(only)
    except GpuDriverError as error:
        LOG.warning("no GPU is metered: %s", error)
        return None
    if meter.devices:
        return meter
    meter.close()
    return None
