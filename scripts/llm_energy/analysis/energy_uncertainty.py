"""The uncertainty of a result's energy, from what the result keeps of its sensors.

A limit ±a within which any value is equally likely has the standard uncertainty a/√3 (JCGM
100:2008, 4.3.7). Over several devices contributions add linearly, because sensors of one kind may
all be wrong in the same direction.
"""

import math

from llm_energy.campaign.analysis_settings import SensorAccuracy
from llm_energy.results.energy import Energy
from llm_energy.results.result import Result

Budget = dict[str, float]
"""Contribution (`gain`, `offset`, `edges`, `baseline`) -> standard uncertainty in J."""


def with_limits(result: Result, sensor: SensorAccuracy | None) -> Result:
    """Return the result with other limits of its sensors; None leaves it as it is."""
    if sensor is None or result.energy.energy_joules is None:
        return result
    energy = result.energy.model_copy(update=sensor.model_dump())
    return result.model_copy(update={"energy": energy})


def gross_budget(result: Result) -> Budget | None:
    """Budget of `energy_joules`; None where the energy or a limit of its sensors is not known."""
    energy, window, offset_watts = result.energy, result.window, total_offset_limit(result.energy)
    joules, gain = energy.energy_joules, energy.gain_limit_relative
    if joules is None or gain is None or offset_watts is None or window is None:
        return None
    return {
        "gain": gain * abs(joules) / math.sqrt(3.0),
        "offset": offset_watts * window.duration_s / math.sqrt(3.0),
        "edges": energy.edge_uncertainty_joules or 0.0,
    }


def net_budget(result: Result) -> Budget | None:
    """Budget of `energy_above_loaded_idle_joules`; None where a part of it is not known.

    The baseline is read by the same sensor: its gain multiplies the difference of each device once,
    and its offset cancels.
    """
    energy, window, gain = result.energy, result.window, result.energy.gain_limit_relative
    net, error_watts = (
        energy.energy_above_loaded_idle_joules,
        energy.loaded_idle_standard_error_watts,
    )
    if net is None or error_watts is None or gain is None or window is None:
        return None
    by_device = [
        device.energy_joules - device.loaded_idle_power_watts * window.duration_s
        for device in energy.devices
        if device.counted
        and device.energy_joules is not None
        and device.loaded_idle_power_watts is not None
    ]
    return {
        "gain": gain * math.fsum(map(abs, by_device or [net])) / math.sqrt(3.0),
        "edges": energy.edge_uncertainty_joules or 0.0,
        "baseline": error_watts * window.duration_s,
    }


def combined(budget: Budget | None) -> float | None:
    """Combined standard uncertainty in J: contributions are independent of each other."""
    return None if budget is None else math.hypot(*budget.values())


def total_offset_limit(energy: Energy) -> float | None:
    """Limit of the offset of all counted devices together, in W."""
    if energy.offset_limit_watts is None:
        return None
    return energy.offset_limit_watts * sum(device.counted for device in energy.devices)
