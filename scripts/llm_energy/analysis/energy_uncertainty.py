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
"""Contribution (`gain`, `offset`, `edges`, `sampling`, `gaps`, `baseline`) -> standard uncertainty
in J. Results of earlier versions lack `sampling` and `gaps`."""


def with_limits(result: Result, sensor: SensorAccuracy | None) -> Result:
    """Return the result with the limits of its sensors that hold.

    Args:
        sensor: limits that the campaign states; None: those of the result, but where the two
            sensors of a device are further apart than its limit of the gain, that distance.
    """
    energy, gain = result.energy, result.energy.gain_limit_relative
    if energy.energy_joules is None:
        return result
    if sensor is not None:
        changes = sensor.model_dump()
    elif gain is not None and (apart := disagreement(energy)) > gain:
        changes = {"gain_limit_relative": apart}
    else:
        return result
    return result.model_copy(update={"energy": energy.model_copy(update=changes)})


def disagreement(energy: Energy) -> float:
    """Distance of counter and integrated instant power over the energy, 0 where one is missing.

    The truth may lie anywhere between the two, or beyond either by their own limits. The distances
    of several devices add, because sensors of one kind may all be wrong in the same direction.
    """
    joules = math.fsum(
        abs(device.counter_joules - device.integrated_instant_joules)
        for device in energy.devices
        if device.counted
        and device.counter_joules is not None
        and device.integrated_instant_joules is not None
    )
    return joules / energy.energy_joules if energy.energy_joules else 0.0


def gross_budget(result: Result) -> Budget | None:
    """Budget of `energy_joules`; None where the energy or a limit of its sensors is not known."""
    energy, window, offset_watts = result.energy, result.window, total_offset_limit(result.energy)
    joules, gain = energy.energy_joules, energy.gain_limit_relative
    if joules is None or gain is None or offset_watts is None or window is None:
        return None
    return {
        "gain": gain * abs(joules) / math.sqrt(3.0),
        "offset": offset_watts * window.duration_s / math.sqrt(3.0),
        **_of_readings(energy),
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
        **_of_readings(energy),
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


def _of_readings(energy: Energy) -> Budget:
    """Return the contributions of what no reading shows."""
    parts = {
        "sampling": energy.sampling_uncertainty_joules,
        "gaps": energy.gap_uncertainty_joules,
    }
    known = {name: joules for name, joules in parts.items() if joules is not None}
    return {"edges": energy.edge_uncertainty_joules or 0.0} | known
