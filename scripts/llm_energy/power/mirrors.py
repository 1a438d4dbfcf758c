"""RAPL zones that show one and the same counter: the dies of a processor that has a counter for
the whole socket, as of AMD's Zen 1 and 2. Their energy counts once."""

import re

from llm_energy.power.counter import unwrapped
from llm_energy.power.counter_edges import interval_powers
from llm_energy.power.meter import Device
from llm_energy.power.rapl import UPDATE_S
from llm_energy.power.sensor import Sensor
from llm_energy.power.series import Samples, Series

LEAST_READINGS = 3
"""Readings that must agree. Counters of two sensors, each with a past of its own, do not do so
even once by chance."""


def mirrors(series: Series) -> dict[str, str]:
    """Zone -> the zone of the same package and scope whose counter it repeats."""
    found: dict[str, str] = {}
    zones = [device for device in series.devices if _package(device)]
    for number, zone in enumerate(zones):
        for first in zones[:number]:
            alike = (first.scope, _package(first)) == (zone.scope, _package(zone))
            if first.id not in found and alike and _agree(series, first, zone):
                found[zone.id] = first.id
                break
    return found


def _package(device: Device) -> str | None:
    """The number of the processor package, as in `package-0-die-1` and `package-0/dram`."""
    named = re.match(r"package-(\d+)", device.label or device.id)
    return named[1] if named else None


def _agree(series: Series, first: Device, second: Device) -> bool:
    """Return True where each reading of `second` lies between the two of `first` around it.

    The readings of one thread follow each other, and a counter only grows: so the bounds hold
    however late a reading is. The zones may update up to one period apart.
    """
    one = series.samples(first, "energy_counter_joules")
    other = series.samples(second, "energy_counter_joules")
    if len(set(one.values)) < LEAST_READINGS:
        return False
    inside = other.between(one.times_s[0], one.times_s[-1])
    range_joules = first.counter_range_joules
    # A reset taken for a wrap, or a jump, would be megawatts, and make any two counters agree.
    bound_watts = Sensor(first, series).power_bound_watts
    powers = interval_powers(unwrapped(one, range_joules), bound_watts=bound_watts).values
    tolerance_joules = max(powers, default=0.0) * (first.counter_update_s or UPDATE_S)
    return len(inside) >= LEAST_READINGS and all(
        _between(value, one.around(time_s, time_s), range_joules, tolerance_joules)
        for time_s, value in zip(inside.times_s, inside.values, strict=True)
    )


def _between(
    value: float, around: Samples, range_joules: float | None, tolerance_joules: float
) -> bool:
    before, after = around.values[0], around.values[-1]
    above = value - before + tolerance_joules
    width = after - before + 2.0 * tolerance_joules
    if range_joules is not None:
        above, width = above % range_joules, width % range_joules
    return 0.0 <= above <= width
