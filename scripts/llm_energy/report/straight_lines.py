"""Thousands of straight lines, such as intervals, as few paths of a figure."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.path import Path

LINES_OF_PATH = 500
"""Lines of a path with more than 1,024 points would not be put on whole pixels."""


def straight_lines(
    axes: Axes,
    lines: Sequence[tuple[float, float, float]],
    *,
    upright: bool,
    colour: str,
    width: float,
) -> None:
    """Draw each (place, begin, end): level at its place, or `upright`.

    SVG and PDF write every path with all its properties, which is slow for thousands of paths.
    """
    places, begins, ends = np.asarray(lines, dtype=float).T
    points = np.column_stack([np.column_stack([begins, ends]).ravel(), np.repeat(places, 2)])
    if upright:
        points = points[:, ::-1]
    codes = np.tile([Path.MOVETO, Path.LINETO], LINES_OF_PATH)
    step = 2 * LINES_OF_PATH
    parts = [points[start : start + step] for start in range(0, len(points), step)]
    paths = [Path(part, codes[: len(part)]) for part in parts]
    for path in paths:
        path.should_simplify = False
    axes.add_collection(
        PathCollection(paths, zorder=2, facecolors="none", edgecolors=colour, linewidths=width)
    )
