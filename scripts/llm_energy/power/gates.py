"""Conditions that a measurement waits for: devices that are cool, and devices at rest.

Pure functions of the last readings. They are judged again and again until they hold or a cap is
reached; a cap that was reached is a flag of the result, not a failure.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from statistics import linear_regression, pstdev

from llm_energy.power.baseline import standard_error
from llm_energy.power.meter import Device
from llm_energy.power.sensor import QUANTITY, Method, Sensor
from llm_energy.power.series import Samples, Series

COOL_MARGIN_CELSIUS = 5.0
"""How much warmer than at the run's first loaded idle a GPU may be: leakage grows with heat, some
0.5 % of a board's power for each degree. Temperatures are whole degrees: what is not known of their
difference is far smaller. Provisional."""

COOL_DOWN_CAP_S = 300.0
"""Longest time to wait for that. Provisional."""

QUIET_S = 3.0
"""How long a device must have been quiet before its idle power is taken."""

QUIET_UTILISATION_PERCENT = 5.0
QUIET_CHANGE, QUIET_CHANGE_WATTS = 0.02, 2.0
"""Largest change of mean power between the halves of that time, whichever is larger: more, and
the device still falls back from its load. While a device is waited for, the limit decides alone: a
fall that is taken for scatter would be part of the baseline, and a constant device that scatters
only waits longer. Provisional."""

QUIET_UNCERTAINTIES = 3.0
"""Standard uncertainties that the change must exceed as well to be a flag when the waiting ends."""


@dataclass(frozen=True)
class Thermal:
    """How the waiting ended; None where there was nothing to wait for."""

    cooled: bool | None = None
    settled: bool | None = None


def temperatures(series: Series) -> dict[str, float]:
    """Device -> its last temperature in °C; without those that do not say."""
    return {
        reading.device: reading.state.temperature_celsius
        for reading in series.readings
        if reading.state is not None and reading.state.temperature_celsius is not None
    }


def cool(series: Series, reference_celsius: Mapping[str, float]) -> bool:
    """Return True where no device is more than the margin above its reference."""
    now_celsius = temperatures(series)
    return all(
        now_celsius[device] <= reference + COOL_MARGIN_CELSIUS
        for device, reference in reference_celsius.items()
        if device in now_celsius
    )


def quiet(
    series: Series,
    devices: Collection[Device],
    *,
    method: Method,
    start_s: float,
    span_s: float,
    uncertainties: float = 0.0,
) -> bool:
    """Return True where all devices have been at rest for `span_s`, which lies after `start_s`.

    At rest: next to no utilisation, one performance state, and power that does not change from
    the first half of the time to the second. A quantity that a device lacks is no condition.

    Args:
        uncertainties: standard uncertainties that a change of power must exceed to be one.
    """
    return all(
        _at_rest(Sensor(device, series), method, start_s, span_s, uncertainties)
        for device in devices
    )


def _at_rest(
    sensor: Sensor, method: Method, start_s: float, span_s: float, uncertainties: float
) -> bool:
    readings = sensor.series.by_device.get(sensor.device.id)
    if not readings:
        return True
    sampled_s = sensor.series.samples(sensor.device, QUANTITY[method]).times_s
    end_s = sampled_s[-1] if sampled_s else readings[-1].monotonic_s
    begin_s = end_s - span_s
    if begin_s < start_s:
        return False
    states = sensor.states(begin_s, end_s)
    if any((s.utilisation_percent or 0.0) > QUIET_UTILISATION_PERCENT for s in states):
        return False
    if len({s.performance_state for s in states}) > 1:
        return False
    middle_s = begin_s + span_s / 2
    halves = ((begin_s, middle_s), (middle_s, end_s))
    first, second = (sensor.energy(method, *half) for half in halves)
    if first.joules is None or second.joules is None:
        return "sampling_gap" not in (first.reason, second.reason)  # anything may be in a gap
    change_watts = abs(second.joules - first.joules) / (span_s / 2)
    limit_watts = max(QUIET_CHANGE_WATTS, QUIET_CHANGE * first.joules / (span_s / 2))
    if change_watts <= limit_watts or not uncertainties:
        return change_watts <= limit_watts
    edges_watts = math.hypot(first.edge_uncertainty_joules, second.edge_uncertainty_joules)
    edges_watts /= span_s / 2
    power = sensor.power(begin_s, end_s)
    scatter_watts = (_scatter_watts(power.between(*half)) for half in halves)
    return change_watts <= uncertainties * math.hypot(edges_watts, *scatter_watts)


def _scatter_watts(power: Samples) -> float:
    """Return the standard error of mean power by the scatter around a line: a fall is none."""
    if len(power) < 3:
        return 0.0
    slope = linear_regression(power.times_s, power.values).slope
    rest = [
        watts - slope * time_s for time_s, watts in zip(power.times_s, power.values, strict=True)
    ]
    error_watts = standard_error(rest)
    return pstdev(rest) if error_watts is None else error_watts
