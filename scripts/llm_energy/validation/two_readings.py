"""One window read two ways: what each delivered, and how far they are apart. Pure."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from llm_energy.power.integration import integrate
from llm_energy.power.sensor import Sensor
from llm_energy.power.series import Samples, Series, update_period_s
from llm_energy.validation import nvidia_smi_output

Facts = dict[str, Any]


def compare(
    series: Series,
    rows: Sequence[nvidia_smi_output.Row],
    *,
    start_s: float,
    end_s: float,
    offset_s: float,
) -> list[Facts]:
    """For each GPU that nvidia-smi shows, the energy of the window by each quantity and way.

    Args:
        series: of our sampler.
        rows: of nvidia-smi.
        start_s, end_s: the window, on CLOCK_MONOTONIC.
        offset_s: wall time less CLOCK_MONOTONIC.
    """
    shown = {row.uuid for row in rows}
    found = []
    for device in series.devices:
        if device.id not in shown:
            continue
        quantities = {}
        for field, quantity in nvidia_smi_output.FIELDS.items():
            theirs = nvidia_smi_output.samples(rows, device.id, quantity, offset_s=offset_s)
            ours = reading_of(series.samples(device, quantity), start_s, end_s)
            ours["reason"] = ours["reason"] and _said(series.reason(device, quantity), ours)
            smi = reading_of(theirs, start_s, end_s)
            smi["reason"] = smi["reason"] and _said(
                nvidia_smi_output.reason(rows, device.id, quantity), smi
            )
            quantities[field] = {
                "nvml": ours,
                "nvidia_smi": smi,
                "relative_difference": relative(smi["energy_joules"], ours["energy_joules"]),
            }
        counter = Sensor(device, series).energy("counter", start_s, end_s)
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


def reading_of(power: Samples, start_s: float, end_s: float) -> Facts:
    """What one way of reading delivered of one quantity in a window."""
    update_s = update_period_s(power)
    amount = integrate(power, start_s, end_s, update_period_s=update_s)
    times = power.between(start_s, end_s).times_s
    span_s = times[-1] - times[0] if len(times) > 1 else 0.0
    return {
        "energy_joules": amount.joules,
        "reason": amount.reason,
        "samples": len(times),
        "delivered_hz": (len(times) - 1) / span_s if span_s > 0.0 else None,
        "longest_gap_s": max((b - a for a, b in pairwise(times)), default=None),
        "update_period_s": update_s,
    }


def relative(value: float | None, reference: float | None) -> float | None:
    """value / reference − 1; None where one is not known."""
    return None if value is None or reference is None else value / reference - 1.0


def _said(reason: str, reading: Facts) -> str:
    """The sensor's own word where it gave one, else that of the integration."""
    return str(reading["reason"]) if reason == "no_samples" else reason
