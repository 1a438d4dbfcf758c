"""When a measurement raises its flags; results/codes.py has their meanings."""

from llm_energy.power.gates import COOL_MARGIN_CELSIUS, Thermal
from llm_energy.results.parts import Drift, Flag

DRIFT_LIMIT = 0.03
"""Relative change of throughput over the window from which it counts as drifting. Provisional."""


def of_measurement(*, drift: Drift, duration_s: float, minimum_duration_s: float) -> list[Flag]:
    """The flags that follow from drift and window length."""
    found = {}
    change = drift.throughput_relative
    if change is not None and abs(change) > DRIFT_LIMIT:
        found["throughput_drift"] = f"{change:+.1%} (limit ±{DRIFT_LIMIT:.0%})"
    if duration_s < minimum_duration_s:
        found["short_window"] = f"{duration_s:.2f} s of {minimum_duration_s:.2f} s"
    return [Flag(code=code, message=message) for code, message in found.items()]


def of_gates(thermal: Thermal) -> list[Flag]:
    """The flags of conditions that were waited for in vain."""
    found = {}
    if thermal.cooled is False:
        found["not_cooled_down"] = f"more than {COOL_MARGIN_CELSIUS:g} °C above"
    if thermal.settled is False:
        found["idle_not_settled"] = "utilisation, performance state or power changed"
    return [Flag(code=code, message=message) for code, message in found.items()]
