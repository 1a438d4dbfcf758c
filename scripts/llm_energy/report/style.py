"""One look for all figures: colours, type, and how a figure becomes a file or part of a page."""

import io
import math
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from PIL import Image

from llm_energy.report.svg import compact

PAGE_INCHES, COLUMN_INCHES = 6.6, 3.4
"""Widths of figures on the page, and in the PDF for papers: one column of the usual two (ACM 3.33,
IEEE 3.5). Type has one size in all of them."""

INK, MUTED, GRID, PAPER = "#22252a", "#646b75", "#e0e2e5", "#ffffff"
SERIES = ("#1b62a5", "#b8460e", "#1c7c58", "#8a45a6", "#8a6a00", "#56606d")
"""Told apart with the common colour-vision deficiencies, and at least 4.5:1 on white; markers
differ as well. Darker and lighter surfaces are served by `THEME`."""

COLOURS = 128
"""In the palette of a PNG: hues and what softens their edges."""

MARKERS = ("o", "s", "D", "^", "v")
"""One fewer than colours, so that a colour and a marker meet again only after 30 series."""

THEME = {INK: "ink", MUTED: "muted", GRID: "line", PAPER: "paper"} | {
    colour: f"series-{number}" for number, colour in enumerate(SERIES, start=1)
}
"""Colour -> CSS variable of the page (`--figure-…`), which has a light and a dark value."""

_RC: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # ships with matplotlib: the same look everywhere
    "font.size": 8.5,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 8.5,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.7,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.unicode_minus": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "ytick.major.pad": 6,  # room for an open end at the axis
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "figure.facecolor": PAPER,
    "figure.constrained_layout.w_pad": 0.07,
    "figure.constrained_layout.h_pad": 0.07,
    "pdf.fonttype": 42,  # TrueType: journals refuse Type 3
    "svg.fonttype": "none",  # text stays text: selectable, searchable, in the page's own type
    "savefig.dpi": 200,
}


@dataclass(frozen=True)
class Figure:
    """A finished figure: files and what stands beside it."""

    name: str
    """Of its files, without suffix."""
    title: str
    caption: str
    svg: str
    csv: str
    """What is drawn, as numbers with units in the column names."""
    png: bytes = b""
    pdf: bytes = b""
    """At column width, for papers. Empty where only the page was asked for, as is `png`."""


@dataclass(frozen=True)
class Drawing:
    """A figure before it is rendered."""

    name: str
    title: str
    caption: str
    canvas: Canvas
    data: pd.DataFrame


def styled(width_inches: float) -> Any:
    """Context in which figures of that width are drawn and rendered."""
    return mpl.rc_context(_RC | {"figure.figsize": (width_inches, width_inches)})


def narrow() -> bool:
    """Whether what is drawn now goes into one column: then fewer things stand side by side."""
    return bool(mpl.rcParams["figure.figsize"][0] < (PAGE_INCHES + COLUMN_INCHES) / 2)


def canvas(height_inches: float, rows: int = 1, columns: int = 1, **options: Any) -> Any:
    """(canvas, axes) of the width in force; `axes` as `Figure.subplots` gives it."""
    width = mpl.rcParams["figure.figsize"][0]
    figure = Canvas(figsize=(width, height_inches), layout="constrained")
    return figure, figure.subplots(rows, columns, **options)


def panels(count: int, *, head_inches: float, row_inches: float) -> Any:
    """(canvas, `count` axes) of small panels side by side, which share both scales."""
    columns = min(2 if narrow() else 3, count)
    rows = math.ceil(count / columns)
    height = head_inches + row_inches * rows
    figure, axes = canvas(height, rows, columns, sharex=True, sharey=True, squeeze=False)
    for unused in axes.flat[count:]:
        unused.set_visible(False)
    return figure, list(axes.flat[:count])


def left_out(count: int) -> str:
    """The end of a caption where experiments did not find room; empty where all did."""
    return f" {count} experiments are left out." if count > 0 else ""


def value_beside(axes: Axes, row: float, text: str) -> None:
    """Write the value of a row beside it, right of the axes."""
    axes.annotate(
        text,
        (1.01, row),
        xycoords=("axes fraction", "data"),
        va="center",
        fontsize=7.5,
        color=INK,
    )


def grid_only(axes: Axes, axis: str) -> None:
    """Keep the grid lines that belong to values of `axis` (`x` or `y`)."""
    axes.grid(visible=False, axis="y" if axis == "x" else "x")


def rendered(drawing: Drawing, column: Drawing | None = None) -> Figure:
    """A drawing as SVG, and given the same in `column` width all files of it; equal drawings give
    equal bytes."""
    title = {"Title": drawing.title}
    with mpl.rc_context({"svg.hashsalt": drawing.name}):
        svg = _saved(drawing.canvas, "svg", title | {"Date": None})
    drawing.canvas.set_layout_engine("none")  # as it was laid out; doing it again takes as long
    return Figure(
        name=drawing.name,
        title=drawing.title,
        caption=drawing.caption,
        svg=compact(svg.decode()),
        csv=drawing.data.to_csv(index=False, float_format="%.9g"),
        png=_pixels(drawing.canvas) if column else b"",
        pdf=_saved(column.canvas, "pdf", title | {"CreationDate": None}) if column else b"",
    )


def _saved(canvas: Canvas, kind: str, metadata: dict[str, str | None]) -> bytes:
    file = io.BytesIO()
    canvas.savefig(file, format=kind, metadata=metadata)
    return file.getvalue()


def _pixels(canvas: Canvas) -> bytes:
    """PNG with a palette: figures have few colours, and it takes a third of the room."""
    file, small = io.BytesIO(), io.BytesIO()
    canvas.savefig(file, format="png")
    image = Image.open(file).convert("RGB").quantize(COLOURS, method=Image.Quantize.MEDIANCUT)
    image.save(small, format="png", optimize=True, dpi=(_RC["savefig.dpi"],) * 2)
    return small.getvalue()
