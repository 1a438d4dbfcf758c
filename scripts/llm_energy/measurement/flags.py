"""When a measurement raises its flags; results/codes.py has their meanings."""

from llm_energy.measurement.window_drift import drift_message, drifts
from llm_energy.power.gates import COOL_MARGIN_CELSIUS, Thermal
from llm_energy.results.parts import Drift, Flag


def of_measurement(*, drift: Drift, duration_s: float, minimum_duration_s: float) -> list[Flag]:
    """The flags that follow from drift and window length."""
    found = {}
    for code, change, scatter in (
        ("throughput_drift", drift.throughput_relative, drift.throughput_scatter_limit),
        ("power_drift", drift.power_relative, drift.power_scatter_limit),
    ):
        if change is not None and drifts(change, scatter):
            found[code] = drift_message(change, scatter)
    if duration_s < minimum_duration_s:
        found["short_window"] = f"{duration_s:.2f} s of {minimum_duration_s:.2f} s"
    return [Flag(code=code, message=message) for code, message in found.items()]


def of_container(attached: str | None) -> list[Flag]:
    """The flag of a container that ran already, by its name."""
    return [Flag(code="attached", message=f"container {attached}")] if attached else []


def of_gates(thermal: Thermal) -> list[Flag]:
    """The flags of conditions that were waited for in vain."""
    found = {}
    if thermal.cooled is False:
        found["not_cooled_down"] = f"more than {COOL_MARGIN_CELSIUS:g} °C above"
    if thermal.settled is False:
        found["idle_not_settled"] = "utilisation, performance state or power changed"
    return [Flag(code=code, message=message) for code, message in found.items()]
