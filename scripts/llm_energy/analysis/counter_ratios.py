"""Counter against integrated instant power, over all results of a campaign.

Two sensors of one device that disagree always in the same way are that device's nature, and one
warning; a result in which they disagree otherwise than usual is that result's flag.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from llm_energy.results.energy import DeviceEnergy
from llm_energy.results.result import Result

STABLE_OFFSET = 0.05
"""Distance of a device's median ratio from 1 that is worth a warning. What is not known of single
windows averages out in a median, and the distance is part of each energy's uncertainty anyway.
Provisional."""

GAIN_LIMIT = 0.02
"""Relative change of the median ratio from window to loaded idle that a gain may show: watts of
other parts change it more. The limit decides alone: a change that is not known is no proof of a
gain, which would make ratios sure. Provisional."""

SMALLEST_LIMIT = 0.01
"""Distance from the device's median that sensors of different kinds may always have."""

UNCERTAINTIES = 3.0
"""Standard uncertainties of a ratio that its distance must exceed as well."""


@dataclass(frozen=True)
class DeviceRatios:
    """Counter over instant power of one device."""

    device: str
    median_ratio: float
    median_ratio_idle: float | None
    """While the loaded engine was idle; None where nothing says it."""
    count: int
    """Windows that have both."""
    deviating: tuple[tuple[Result, float], ...]
    """Results whose ratio leaves the median by more than their limit, with that relative change."""

    @property
    def warning(self) -> bool:
        """True where the two sensors differ by a stable offset."""
        return abs(self.median_ratio - 1.0) > STABLE_OFFSET

    @property
    def gain_alone(self) -> bool | None:
        """True where the sensors differ by a factor; None where nothing was read at idle."""
        if self.median_ratio_idle is None:
            return None
        return abs(self.median_ratio_idle / self.median_ratio - 1.0) <= GAIN_LIMIT


def device_ratios(results: Sequence[Result]) -> list[DeviceRatios]:
    """Compare the two sensors of each device over the windows of a campaign, by device."""
    windows: dict[str, list[tuple[Result, DeviceEnergy, float]]] = defaultdict(list)
    for result in results:
        for device in result.energy.devices:
            if (ratio := ratio_of(device)) is not None:
                windows[device.device].append((result, device, ratio))
    found = []
    for name, seen in sorted(windows.items()):
        usual = median(ratio for _, _, ratio in seen)
        changes = ((r, ratio / usual - 1.0, limit(r, device)) for r, device, ratio in seen)
        deviating = ((r, change) for r, change, most in changes if abs(change) > most)
        idle = [ratio for _, d, _ in seen if (ratio := d.counter_over_instant_idle) is not None]
        usual_idle = median(idle) if idle else None
        found.append(DeviceRatios(name, usual, usual_idle, len(seen), tuple(deviating)))
    return found


def ratio_of(device: DeviceEnergy) -> float | None:
    """Counter over integrated instant power; None unless both are there."""
    if device.counter_joules is None or not device.integrated_instant_joules:
        return None
    return device.counter_joules / device.integrated_instant_joules


def limit(result: Result, device: DeviceEnergy) -> float:
    """How far a window's ratio may leave the median: either sensor may be late by one update
    period at each edge of the window, and what no reading shows may be `UNCERTAINTIES` off."""
    limits = [SMALLEST_LIMIT, UNCERTAINTIES * (device.counter_over_instant_uncertainty or 0.0)]
    if result.window is not None and device.update_period_s is not None:
        limits.append(2.0 * device.update_period_s / result.window.duration_s)
    return max(limits)
