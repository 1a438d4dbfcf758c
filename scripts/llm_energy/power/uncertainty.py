"""The uncertainty of an energy: contributions, and how they add up."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from llm_energy.power.meter import Scope

Budget = dict[str, float]
"""Contribution (`gain`, `offset`, `edges`, `baseline`) -> standard uncertainty in J."""


@dataclass(frozen=True)
class SensorLimits:
    """What a power sensor may be wrong by, as limits: any value within ± is equally likely."""

    gain: float
    """Relative."""
    offset_watts: float


GPU_LIMITS = SensorLimits(gain=0.05, offset_watts=5.0)
"""Vendor text for old boards: NVML says ±5 % of the power drawn (Fermi, Kepler), nvidia-smi's
manual ±5 W. Nothing is published for newer ones. Provisional until compared with a wall meter."""

RAPL_LIMITS = SensorLimits(gain=0.05, offset_watts=0.0)
"""No vendor publishes a limit. 5 % covers what Hackenberg et al. (HPPAC 2015) saw on Haswell."""

LIMITS: Mapping[Scope, SensorLimits] = {
    "gpu_board": GPU_LIMITS,
    "module": GPU_LIMITS,
    "cpu_package": RAPL_LIMITS,
    "dram": RAPL_LIMITS,
    "platform": RAPL_LIMITS,
}
"""By scope. A wall meter's limits are its owner's to state."""


def gross_budget(
    joules: float, duration_s: float, *, limits: SensorLimits, edges_joules: float
) -> Budget:
    """Budget of a gross energy. A rectangular limit ±a has the standard uncertainty a/√3
    (JCGM 100:2008, 4.3.7)."""
    return {
        "gain": limits.gain * abs(joules) / math.sqrt(3.0),
        "offset": limits.offset_watts * duration_s / math.sqrt(3.0),
        "edges": edges_joules,
    }


def net_budget(
    net_joules: float,
    duration_s: float,
    *,
    limits: SensorLimits,
    edges_joules: float,
    baseline_watts: float,
) -> Budget:
    """Budget of an energy above a baseline read by the same sensor: its gain multiplies the
    difference once, and its offset cancels.

    Args:
        baseline_watts: standard error of the baseline's mean power.
    """
    return {
        "gain": limits.gain * abs(net_joules) / math.sqrt(3.0),
        "edges": edges_joules,
        "baseline": baseline_watts * duration_s,
    }


def add_devices(budgets: Iterable[Budget]) -> Budget:
    """Budget of a sum over devices: each contribution adds linearly, because sensors of one kind
    may all be wrong in the same direction."""
    total: Budget = {}
    for budget in budgets:
        for contribution, joules in budget.items():
            total[contribution] = total.get(contribution, 0.0) + joules
    return total


def combined(budget: Budget) -> float:
    """Combined standard uncertainty in J: contributions are independent of each other."""
    return math.hypot(*budget.values())
