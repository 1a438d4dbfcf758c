"""Judge a window by physics and by the nature of the sensors."""

import math
from collections.abc import Collection
from functools import reduce
from operator import or_
from statistics import fmean

from llm_energy.power.baseline import Baseline
from llm_energy.power.meter import State
from llm_energy.results.energy import DeviceState

MEAN_POWER_LIMIT = 1.05
"""Window mean over the enforced limit that no board sustains: the limit of a sensor's gain, within
which the edges of a window of 10 s lie as well. Provisional."""

BASELINE_DEVIATIONS = 3.0
"""Standard deviations of idle samples, and standard errors of their mean, by which a window's mean
may lie below the idle mean: of a short baseline the mean itself is not well known. What is not
known of the window's mean widens them."""

RESOLUTION = 0.01
"""A sensor that shows no scatter does not resolve it: 1 % is then the least that counts."""

SENSOR_RATIO_LIMIT = 10.0
"""Energy by one sensor of a device over that by the other from which neither can be believed.
Bursts in time with a sensor that looks at part of each period give up to full power over loaded
idle, some 700 W over 70 W; so far the difference is part of the uncertainty. Provisional."""

SENSOR_PERIOD_S = 0.1
"""A100 and H100 look at 25 of every 100 ms (Yang, Adamek and Armour, SC 2024)."""

ALIAS_TOLERANCE = 0.02
ALIAS_ORDERS = range(1, 6)
"""A step within 2 % of 100 ms · k/m (k, m ≤ 5) locks to the sensor. Provisional."""

THROTTLE_REASONS = {
    0x1: "gpu_idle",
    0x2: "application_clocks",
    0x4: "software_power_cap",
    0x8: "hardware_slowdown",
    0x10: "sync_boost",
    0x20: "software_thermal",
    0x40: "hardware_thermal",
    0x80: "hardware_power_brake",
    0x100: "display_clocks",
}
"""NVML's bits (nvmlClocksEventReasons) by name."""


def impossible_mean(
    mean_watts: float,
    *,
    baseline: Baseline | None,
    power_limit_watts: float | None,
    power_bound_watts: float = math.inf,
    uncertainty_watts: float = 0.0,
) -> str | None:
    """Reason code where the window's mean power cannot be true.

    Args:
        uncertainty_watts: of the mean, by what no reading shows (edges, samples, gaps).
    """
    if baseline is not None:
        scatter_watts = max(baseline.deviation_watts, baseline.standard_error_watts or 0.0)
        scatter_watts = math.hypot(scatter_watts, uncertainty_watts)
        margin = max(BASELINE_DEVIATIONS * scatter_watts, RESOLUTION * baseline.power_watts)
        if mean_watts < baseline.power_watts - margin:
            return "mean_power_below_idle"
    if power_limit_watts is not None and mean_watts > MEAN_POWER_LIMIT * power_limit_watts:
        return "mean_power_above_limit"
    return "mean_power_above_bound" if mean_watts > power_bound_watts else None


def sensors_disagree(counter_over_instant: float | None) -> bool:
    """Return True where two sensors of a device are so far apart that one of them is broken."""
    ratio = counter_over_instant
    return ratio is not None and not 1.0 / SENSOR_RATIO_LIMIT <= ratio <= SENSOR_RATIO_LIMIT


def alias_risk(median_step_s: float) -> bool:
    """Return True where steps of this length lock to a sensor that sees part of each 100 ms."""
    return any(
        abs(median_step_s / (SENSOR_PERIOD_S * k / m) - 1.0) <= ALIAS_TOLERANCE
        for k in ALIAS_ORDERS
        for m in ALIAS_ORDERS
    )


def summarise(states: Collection[State]) -> DeviceState | None:
    """Summarise the slow readings of a window for its result; None where there are none."""
    if not states:
        return None
    temperatures = [s.temperature_celsius for s in states if s.temperature_celsius is not None]
    clocks = [s.sm_clock_mhz for s in states if s.sm_clock_mhz is not None]
    of_memory = [s.memory_clock_mhz for s in states if s.memory_clock_mhz is not None]
    limits_watts = [s.power_limit_watts for s in states if s.power_limit_watts]
    mask = reduce(or_, (state.throttle_reasons or 0 for state in states))
    return DeviceState(
        temperature_mean_celsius=fmean(temperatures) if temperatures else None,
        temperature_max_celsius=max(temperatures, default=None),
        sm_clock_mean_mhz=fmean(clocks) if clocks else None,
        sm_clock_min_mhz=min(clocks, default=None),
        memory_clock_mean_mhz=fmean(of_memory) if of_memory else None,
        power_limit_min_watts=min(limits_watts, default=None),
        throttle_reasons=[name for bit, name in THROTTLE_REASONS.items() if mask & bit],
        performance_states=sorted(
            {s.performance_state for s in states if s.performance_state is not None}
        ),
    )
