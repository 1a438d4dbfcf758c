"""Uncertainties of finished results under other limits of the sensors: pure, energies stay."""

from llm_energy.campaign.analysis_settings import SensorAccuracy
from llm_energy.power.uncertainty import Budget, SensorLimits, combined, gross_budget, net_budget
from llm_energy.results.result import Result


def with_limits(result: Result, sensor: SensorAccuracy | None) -> Result:
    """The result with gain and offset of its budgets computed again; None leaves it as it is.

    Over several devices both add linearly, as they did when it was measured: the gain's part goes
    with their sum, the offset's with their number.
    """
    energy, window = result.energy, result.window
    if sensor is None or energy.energy_joules is None or window is None:
        return result
    limits = SensorLimits(sensor.gain_limit_relative, sensor.offset_limit_watts)
    count = sum(device.counted for device in energy.devices)
    gross = gross_budget(
        energy.energy_joules,
        window.duration_s,
        limits=SensorLimits(limits.gain, limits.offset_watts * count),
        edges_joules=energy.uncertainty_budget_joules.get("edges", 0.0),
    )
    changed: dict[str, float | Budget] = {
        "uncertainty_budget_joules": gross,
        "standard_uncertainty_joules": combined(gross),
    }
    net_joules, old = energy.energy_above_loaded_idle_joules, energy.above_loaded_idle_budget_joules
    if net_joules is not None and old:
        net = net_budget(
            net_joules,
            window.duration_s,
            limits=limits,
            edges_joules=old["edges"],
            baseline_watts=old["baseline"] / window.duration_s,
        )
        changed["above_loaded_idle_budget_joules"] = net
        changed["above_loaded_idle_uncertainty_joules"] = combined(net)
    return result.model_copy(update={"energy": energy.model_copy(update=changed)})
