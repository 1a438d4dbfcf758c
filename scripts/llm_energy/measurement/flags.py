"""The flags a result can carry: their codes, when they are raised, and what they mean."""

from llm_energy.power.gates import COOL_MARGIN_CELSIUS, Thermal
from llm_energy.results.parts import Drift, Flag, Warmup

DRIFT_LIMIT = 0.03
"""Relative change of throughput over the window from which it counts as drifting. Provisional: it
equals the widest equivalence bound of the warm-up, below which the warm-up would not have seen a
trend either."""

MEANINGS = {
    "warmup_capped": "The warm-up reached its time limit before the steady state was shown; the "
    "window may hold a trend. `measurement.warmup_cap_s` sets the limit.",
    "throughput_drift": "Throughput in the last third of the window differs from the first third "
    "by more than the limit.",
    "short_window": "The window is shorter than the least duration that was asked for.",
    "gpu_use_unknown": "The driver did not list the engine's processes on any GPU: it may not tell "
    "them, or the engine ran on the CPU. The energy is that of all GPUs it could have used.",
    "not_cooled_down": "A GPU was still warmer than the margin above its first loaded idle when "
    "the waiting ended.",
    "idle_not_settled": "A device had not come to rest when its loaded idle power was taken.",
    "idle_drift": "The devices' idle power without an engine is not what it was in the run's first "
    "cycle.",
}
"""Code -> what a reader must know. Energy adds its own (see power/)."""


def flag(code: str, detail: str) -> Flag:
    """A flag with what was seen; its general meaning stands in `MEANINGS`."""
    return Flag(code=code, message=detail)


def of_measurement(
    *, warmup: Warmup, drift: Drift, duration_s: float, minimum_duration_s: float
) -> list[Flag]:
    """The flags that follow from warm-up, drift and window length."""
    flags = []
    if warmup.capped:
        flags.append(flag("warmup_capped", f"{warmup.waves} waves: {_trend(warmup)}"))
    change = drift.throughput_relative
    if change is not None and abs(change) > DRIFT_LIMIT:
        flags.append(flag("throughput_drift", f"{change:+.1%} (limit ±{DRIFT_LIMIT:.0%})"))
    if duration_s < minimum_duration_s:
        flags.append(flag("short_window", f"{duration_s:.2f} s of {minimum_duration_s:.2f} s"))
    return flags


def of_gates(thermal: Thermal) -> list[Flag]:
    """What was waited for in vain."""
    flags = []
    if thermal.cooled is False:
        detail = f"more than {COOL_MARGIN_CELSIUS:g} °C above"
        flags.append(flag("not_cooled_down", detail))
    if thermal.settled is False:
        flags.append(flag("idle_not_settled", "utilisation, performance state or power changed"))
    return flags


def _trend(warmup: Warmup) -> str:
    """What the tests of the warm-up's trend could say when its time was over."""
    power = warmup.power
    if power is None or power.verdict == "steady":
        return _wave_trend(warmup)
    said = f"power {power.verdict.replace('_', ' ')}"
    if power.trend_interval is not None and power.bound is not None:
        low, high = power.trend_interval
        said += f" ({low:+.1%} to {high:+.1%}, to be within ±{power.bound:.1%})"
    return f"{said}; {_wave_trend(warmup)}"


def _wave_trend(warmup: Warmup) -> str:
    if warmup.trend_interval is None or warmup.bound is None:
        return "too few to test for a trend"
    low, high = warmup.trend_interval
    said = f"trend {low:+.1%} to {high:+.1%}, to be within ±{warmup.bound:.1%}"
    variation = warmup.coefficient_of_variation
    return said if variation is None else f"{said}; variation {variation:.1%}"
