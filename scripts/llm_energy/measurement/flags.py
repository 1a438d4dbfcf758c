"""When a measurement raises its flags; results/codes.py has their meanings."""

from llm_energy.power.gates import COOL_MARGIN_CELSIUS, Thermal
from llm_energy.results.parts import Drift, Flag, Warmup

DRIFT_LIMIT = 0.03
"""Relative change of throughput over the window from which it counts as drifting. Provisional."""


def of_measurement(
    *, warmup: Warmup, drift: Drift, duration_s: float, minimum_duration_s: float
) -> list[Flag]:
    """The flags that follow from warm-up, drift and window length."""
    found = {}
    if warmup.capped:
        found["warmup_capped"] = f"{warmup.waves} waves: {_trend(warmup)}"
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


def _trend(warmup: Warmup) -> str:
    """Describe the tests of the warm-up when its time was over."""
    power, waves = warmup.power, "too few, or too short, to test"
    if warmup.trend_interval is not None and warmup.bound is not None:
        waves = _bias(warmup.trend_interval, warmup.bound)
        variation = warmup.coefficient_of_variation
        waves += "" if variation is None else f"; variation {variation:.1%}"
    if power is None or power.verdict in ("steady", "no_drift_seen"):
        return waves
    verdict = f"power {power.verdict.replace('_', ' ')}"
    if power.trend_interval is not None and power.bound is not None:
        verdict += f" ({_bias(power.trend_interval, power.bound)})"
    return f"{verdict}; {waves}"


def _bias(interval: tuple[float, float], bound: float) -> str:
    low, high = interval
    return f"bias of the window up to {bound:.1%}, trend {low:+.1%} to {high:+.1%}"
