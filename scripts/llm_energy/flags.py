"""The flags a result can carry: their codes, when they are raised, and what they mean."""

from llm_energy.results import Drift, Flag, Warmup

DRIFT_LIMIT = 0.03
"""Relative change of throughput over the window from which it counts as drifting. Provisional: it
equals the widest equivalence bound of the warm-up, below which the warm-up would not have seen a
trend either."""

MEANINGS = {
    "warmup_capped": "The warm-up reached its time limit before the steady state was shown; the "
    "window may hold a trend.",
    "throughput_drift": "Throughput in the last third of the window differs from the first third "
    "by more than the limit.",
    "short_window": "The window is shorter than the least duration that was asked for.",
    "code_changed": "Results of one protocol version were measured with different code digests.",
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
        bound = "none" if warmup.bound is None else f"±{warmup.bound:.1%}"
        flags.append(flag("warmup_capped", f"{warmup.waves} waves, bound reached: {bound}"))
    change = drift.throughput_relative
    if change is not None and abs(change) > DRIFT_LIMIT:
        flags.append(flag("throughput_drift", f"{change:+.1%} (limit ±{DRIFT_LIMIT:.0%})"))
    if duration_s < minimum_duration_s:
        flags.append(flag("short_window", f"{duration_s:.2f} s of {minimum_duration_s:.2f} s"))
    return flags
