"""Labels of points in a figure, each where it covers least."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes

from llm_energy.report.style import INK

MOST_NAMES = 12
"""Points that are labelled with their names; more get their ranks, which are short."""

POINT_SIZE = 7
GAP = 5.0
"""Points between a marker and its label."""

Place = tuple[float, float]
Box = tuple[float, float, float, float]


def write_labels(
    axes: Axes,
    places: Sequence[Place],
    labels: Sequence[str],
    ranks: Mapping[str, int],
    taken: Sequence[Place],
) -> None:
    """Label every point, with its name or, among many, its rank.

    Args:
        taken: more places in data units that a label should leave free, such as ends of lines.
    """
    if len(ranks) > MOST_NAMES:
        labels = [str(ranks[label]) for label in labels]
    obstacles = [_pixels(axes, place) for place in (*places, *taken)]
    boxes: list[Box] = []
    right_end, top_end = axes.transAxes.transform((1, 1))
    left_end, bottom_end = axes.transAxes.transform((0, 0))
    scale = axes.figure.dpi / 72
    for place, label in sorted(zip(places, labels, strict=True)):
        x, y = _pixels(axes, place)
        width, height = 0.58 * POINT_SIZE * len(label) * scale, 1.25 * POINT_SIZE * scale
        best: tuple[float, Box, Place] | None = None
        for order, (across, up) in enumerate(_SIDES):
            left = x + across * GAP * scale - width * (1 - across) / 2
            low = y + up * GAP * scale - height * (1 - up) / 2
            box = (left, low, left + width, low + height)
            cost = 4.0 * sum(_overlap(box, other) for other in boxes)
            cost += sum(_inside(box, obstacle) for obstacle in obstacles)
            cost += 2.0 * (left < left_end or box[2] > right_end or low < bottom_end)
            cost += 0.5 * (box[3] > top_end) + 0.01 * order
            if best is None or cost < best[0]:
                best = cost, box, (across, up)
        assert best is not None
        boxes.append(best[1])
        across, up = best[2]
        axes.annotate(
            label,
            place,
            xytext=(across * GAP, up * GAP),
            textcoords="offset points",
            ha=("right", "center", "left")[int(across) + 1],
            va=("top", "center", "bottom")[int(up) + 1],
            fontsize=POINT_SIZE,
            color=INK,
        )


_SIDES: Sequence[Place] = (
    (1, 1), (-1, 1), (1, -1), (-1, -1), (0, 1), (0, -1), (1, 0), (-1, 0),
)  # fmt: skip
"""Right and up as 1: corners first, which intervals leave free."""


def _pixels(axes: Axes, place: Place) -> Place:
    x, y = axes.transData.transform(place)
    return float(x), float(y)


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _inside(box: Box, place: Place) -> bool:
    return box[0] <= place[0] <= box[2] and box[1] <= place[1] <= box[3]
