"""The verdict on a control: a ratio whose truth is known to be 1, or near it."""

from typing import Literal

from llm_energy.campaign.experiment import ControlKind
from llm_energy.results.parts import Model
from llm_energy.stats.paired_ratios import Ratio

ControlVerdict = Literal["pass", "inconclusive", "fail", "not_testable"]

MARGIN = 0.02
"""Distance from 1 within which the 95 % interval of a ratio must lie."""

FAULT_CONFIDENCE = 0.99
"""Of the interval that must hold 1: one sound A/A control in a hundred fails by chance."""


class ControlFinding(Model):
    """What one control says by one metric: the ratio of the control to its base."""

    kind: ControlKind
    experiment: str
    base: str
    metric: str
    pairs: int
    """Blocks (cycle, session) with both sides."""
    ratio: float | None
    low: float | None
    """95 % interval, not adjusted; None under three pairs."""
    high: float | None
    low_99: float | None
    """99 % interval."""
    high_99: float | None
    verdict: ControlVerdict
    reason: str
    """What the verdict means, or why there is none."""
    flags: list[str]
    """Codes of the flags of the control's own measurements."""


def verdict(ratio: Ratio | None, *, exact: bool) -> ControlVerdict:
    """What the ratio of a control says.

    Args:
        exact: the truth is 1, so that any difference is a fault, however small.
    """
    interval = ratio and ratio.interval()
    outer = ratio and ratio.interval(FAULT_CONFIDENCE)
    if not interval or not outer:
        return "not_testable"
    differs = not outer.low <= 1.0 <= outer.high
    small = abs(interval.low - 1.0) <= MARGIN and abs(interval.high - 1.0) <= MARGIN
    if differs and (exact or not small):
        return "fail"
    return "pass" if small else "inconclusive"
