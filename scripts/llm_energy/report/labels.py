"""Labels of points in a figure, each where it covers least."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from llm_energy.report.style import INK
from llm_energy.report.svg import POINT

MOST_NAMES = 12
"""Points that are labelled with their names; more get their ranks, which are short."""

MOST_NUMBERS = 100
"""Ranks that are written, the best ones: more would cover each other."""

POINT_SIZE = 7
GAP = 5.0
"""Points between a marker and its label."""

CLOSE = 1.0
"""Points by which a label must be nearer to its own marker than to any other."""

Place = tuple[float, float]

_SIDES = np.array([(1, 1), (-1, 1), (1, -1), (-1, -1), (0, 1), (0, -1), (1, 0), (-1, 0)])
"""Right and up as 1: corners first, which intervals leave free."""


def write_labels(
    axes: Axes,
    places: Sequence[Place],
    labels: Sequence[str],
    ranks: Mapping[str, int],
    taken: np.ndarray,
) -> None:
    """Label every point, with its name or, among many, its rank.

    Args:
        taken: one row each for more places in data units that a label should leave free, such as
            ends of lines.
    """
    written = sorted(zip(places, labels, labels, strict=True))
    if len(ranks) > MOST_NAMES:
        written = [
            (place, str(rank), name)
            for place, name, _ in written
            if (rank := ranks[name]) <= MOST_NUMBERS
        ]
    if not written:
        return
    obstacles = axes.transData.transform(np.vstack([places, taken]))
    boxes = np.empty((0, 4))
    (left_end, bottom_end), (right_end, top_end) = axes.transAxes.transform([(0, 0), (1, 1)])
    scale = axes.figure.dpi / 72
    for place, label, name in written:
        size = np.array([0.58 * len(label), 1.25]) * POINT_SIZE * scale
        corners = axes.transData.transform(place) + _SIDES * GAP * scale - size * (1 - _SIDES) / 2
        sides = np.hstack([corners, corners + size])
        left, low, right, top = sides.T
        cost = 4.0 * _overlaps(sides, boxes) + _holds(sides, obstacles)
        cost += 2.0 * ((left < left_end) | (right > right_end) | (low < bottom_end))
        cost += 0.5 * (top > top_end) + 0.01 * np.arange(len(_SIDES))
        # A label that is as near to another point would name that one.
        own = _distances(sides, axes.transData.transform([place]))
        too_near = own + CLOSE * scale
        others = _near(obstacles[: len(places)], sides, too_near.max())
        near = _distances(sides, others) < too_near
        cost += 1.5 * (np.count_nonzero(near, axis=1) - 1)
        best = int(cost.argmin())
        boxes = np.vstack([boxes, sides[best]])
        across, up = (int(side) for side in _SIDES[best])
        axes.annotate(
            label,
            place,
            gid=f"{POINT}{name}",
            xytext=(across * GAP, up * GAP),
            textcoords="offset points",
            annotation_clip=False,  # to see that a point is inside takes as long as its text
            ha=("right", "center", "left")[across + 1],
            va=("top", "center", "bottom")[up + 1],
            fontsize=POINT_SIZE,
            color=INK,
        )


def _overlaps(sides: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """The number of boxes (left, low, right, top) that each side overlaps."""
    one, other = sides[:, None], boxes[None]
    apart = (one[..., :2] >= other[..., 2:]) | (other[..., :2] >= one[..., 2:])
    counts: np.ndarray = np.count_nonzero(~apart.any(axis=-1), axis=1)
    return counts


def _holds(sides: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The number of places that lie in each side."""
    x, y = _near(places, sides).T
    lefts, lows, rights, tops = sides.T[:, :, None]
    inside = (lefts <= x) & (x <= rights) & (lows <= y) & (y <= tops)
    counts: np.ndarray = np.count_nonzero(inside, axis=1)
    return counts


def _near(places: np.ndarray, sides: np.ndarray, reach: float = 0.0) -> np.ndarray:
    """The places, few of tens of thousands, in a box that holds all sides and `reach` around."""
    least, greatest = sides[:, :2].min(axis=0) - reach, sides[:, 2:].max(axis=0) + reach
    x, y = places.T
    beside = (least[0] <= x) & (x <= greatest[0])
    near: np.ndarray = places[beside & (least[1] <= y) & (y <= greatest[1])]
    return near


def _distances(sides: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The distance of each place, in columns, from each side, in rows."""
    low, high = sides[:, None, :2], sides[:, None, 2:]
    across, up = np.moveaxis(np.maximum(np.maximum(low - places, places - high), 0.0), -1, 0)
    away: np.ndarray = np.hypot(across, up)
    return away
