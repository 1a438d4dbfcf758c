"""One window read two ways: what each delivered, and how far they are apart. Pure."""

from itertools import pairwise
from typing import Any

from llm_energy.power.sensor import QUANTITY, Method, Sensor
from llm_energy.power.series import Series, update_period_s
from llm_energy.validation.nvidia_smi_output import FIELDS

Comparison = dict[str, Any]


def compare(nvml: Series, nvidia_smi: Series, *, start_s: float, end_s: float) -> list[Comparison]:
    """For each GPU that both read, the energy of the window by each quantity and way.

    Args:
        start_s, end_s: the window, on CLOCK_MONOTONIC.
    """
    found = []
    for device in nvml.devices:
        if device.id not in nvidia_smi.by_device:
            continue
        ours, theirs = Sensor(device, nvml), Sensor(device, nvidia_smi)
        quantities = {}
        for field, method in FIELDS.items():
            ways = [reading_of(sensor, method, start_s, end_s) for sensor in (ours, theirs)]
            reference, value = (way["energy_joules"] for way in ways)
            quantities[field] = {
                "nvml": ways[0],
                "nvidia_smi": ways[1],
                "relative_difference": relative(value, reference),
            }
        counter = ours.energy("counter", start_s, end_s)
        found.append(
            {
                "device": device.id,
                "model": device.model,
                "simulated": device.simulated,
                "counter_joules": counter.joules,
                "counter_reason": counter.reason,
                "quantities": quantities,
            }
        )
    return found


def reading_of(sensor: Sensor, method: Method, start_s: float, end_s: float) -> Comparison:
    """Describe one way of reading one quantity in a window."""
    amount = sensor.energy(method, start_s, end_s)
    power = sensor.series.samples(sensor.device, QUANTITY[method])
    times = power.between(start_s, end_s).times_s
    span_s = times[-1] - times[0] if len(times) > 1 else 0.0
    return {
        "energy_joules": amount.joules,
        "reason": amount.reason,
        "samples": len(times),
        "delivered_hz": (len(times) - 1) / span_s if span_s > 0.0 else None,
        "longest_gap_s": max((b - a for a, b in pairwise(times)), default=None),
        "update_period_s": update_period_s(power),
    }


def relative(value: float | None, reference: float | None) -> float | None:
    """value / reference − 1; None where one is not known."""
    return None if value is None or reference is None else value / reference - 1.0
