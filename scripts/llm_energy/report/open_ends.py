"""Intervals that reach below zero: drawn to the axis, with an end that is visibly open."""

from collections.abc import Iterable

from matplotlib.axes import Axes

from llm_energy.report.estimates import BELOW_ZERO, Estimate


def open_end(axes: Axes, place: tuple[float, float], pointing: str, colour: str) -> None:
    """A hollow triangle on the axis of zero, past which the interval goes on."""
    axes.plot(*place, pointing, mfc="none", mec=colour, ms=6, mew=1.2, clip_on=False, zorder=4)


def open_ends(shown: Iterable[Estimate]) -> str:
    """The sentence of a caption that explains them; empty where there are none."""
    if not any(estimate.reaches_below_zero for estimate in shown):
        return ""
    return f" Hollow triangle at 0: {BELOW_ZERO}."
