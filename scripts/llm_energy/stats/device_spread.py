"""Spread of a mean over cycles that several devices share: one-way analysis with random devices.

value = mean + effect of the device + noise of the cycle. Devices are a sample of those of their
model, and so their spread is part of what is not known of the mean. Searle, Casella and McCulloch,
Variance Components, section 3.6; degrees of freedom by Satterthwaite (1946), Biometrics
Bulletin 2:110.
"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from statistics import fmean


@dataclass(frozen=True)
class DeviceSpread:
    """The spread between devices, and what follows for the mean over all cycles."""

    between: float
    """Standard deviation between devices; above 0."""
    standard_error: float
    """Standard uncertainty of the mean."""
    degrees_of_freedom: float


def device_spread(values: Sequence[float], devices: Sequence[Hashable]) -> DeviceSpread | None:
    """Estimate the spread between devices from one value of each cycle and the device it is of.

    None where it cannot be distinguished from the spread between cycles: one device, one cycle on
    each, or devices that differ by no more than their cycles do.
    """
    if len(set(devices)) < 2:
        return None
    groups: dict[Hashable, list[float]] = {}
    for value, device in zip(values, devices, strict=True):
        groups.setdefault(device, []).append(value)
    total, count = len(values), len(groups)
    if total == count:
        return None
    mean = fmean(values)
    means = {device: fmean(own) for device, own in groups.items()}
    between_squares = math.fsum(len(own) * (means[d] - mean) ** 2 for d, own in groups.items())
    within_squares = math.fsum((v - means[d]) ** 2 for d, own in groups.items() for v in own)
    between_mean, within_mean = between_squares / (count - 1), within_squares / (total - count)
    share = math.fsum((len(own) / total) ** 2 for own in groups.values())
    cycles_each = total * (1.0 - share) / (count - 1)
    component = (between_mean - within_mean) / cycles_each
    if component <= 0.0:
        return None
    of_between = share / cycles_each * between_mean
    of_within = (1.0 / total - share / cycles_each) * within_mean
    variance = of_between + of_within
    degrees = variance**2 / (of_between**2 / (count - 1) + of_within**2 / (total - count))
    return DeviceSpread(math.sqrt(component), math.sqrt(variance), degrees)
