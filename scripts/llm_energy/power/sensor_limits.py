"""Limits of each kind of power sensor: of its error, and of what it can truly show."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from llm_energy.power.meter import Device, Scope


@dataclass(frozen=True)
class SensorLimits:
    """Limits of the error of a power sensor: any value within ± is equally likely."""

    gain_relative: float
    offset_watts: float


GPU_LIMITS = SensorLimits(gain_relative=0.05, offset_watts=5.0)
"""Vendor text for old boards: NVML says ±5 % of the power drawn (Fermi, Kepler), nvidia-smi's
manual ±5 W. Nothing is published for newer ones. Provisional until compared with a wall meter."""

RAPL_LIMITS = SensorLimits(gain_relative=0.05, offset_watts=0.0)
"""No vendor publishes a limit. 5 % covers what Hackenberg et al. (HPPAC 2015) saw on Haswell."""

HOST_LIMITS = SensorLimits(gain_relative=0.05, offset_watts=0.0)
"""No limit is published that holds for all sensors of boards and machines. Provisional."""

LIMITS: Mapping[Scope, SensorLimits] = {
    "rail": HOST_LIMITS,
    "gpu_chip": GPU_LIMITS,
    "gpu_board": GPU_LIMITS,
    "cpu_package": RAPL_LIMITS,
    "dram": RAPL_LIMITS,
    "cpu_socket": HOST_LIMITS,
    "module": GPU_LIMITS,
    "board": HOST_LIMITS,
    "platform": RAPL_LIMITS,
    "battery": HOST_LIMITS,
    "chassis": HOST_LIMITS,
}
"""By scope. A wall meter's limits are its owner's to state."""

POWER_BOUNDS_WATTS: Mapping[Scope, float] = {
    "rail": 3000.0,
    "gpu_chip": 3000.0,
    "gpu_board": 3000.0,
    "cpu_package": 1000.0,
    "dram": 1000.0,
    "cpu_socket": 1000.0,
    "module": 6000.0,
    "board": 500.0,
    "platform": 20000.0,
    "battery": 500.0,
    "chassis": 30000.0,
}
"""More than a device of each scope can draw: twice the largest on sale (boards of 1,400 W, modules
of 2,700 W, sockets of 500 W, platforms of 10 kW, machines of 15 kW, compute modules of 130 W,
laptops of 240 W). A counter that says more was reset or is broken."""


def power_bound_watts(device: Device) -> float:
    """Return more than a device can draw; infinite where nothing bounds it."""
    bound = device.power_bound_watts
    return POWER_BOUNDS_WATTS.get(device.scope, math.inf) if bound is None else bound
