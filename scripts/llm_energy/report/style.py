"""One look for all figures: colours, type, parts that several draw, and rendering to files."""

import io
import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backend_bases import FigureCanvasBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator
from PIL import Image

from llm_energy.analysis.table_columns import csv_of
from llm_energy.report.fonts import embed_quickly
from llm_energy.report.svg import compact
from llm_energy.system.numbers import exact, plural

PAGE_INCHES, COLUMN_INCHES = 6.6, 3.4
"""Widths of figures on the page, and in the PDF for papers: one column of the usual two (ACM 3.33,
IEEE 3.5). Type has one size in all of them."""

PAGE_LETTERS, NARROW_LETTERS = 30, 22
"""Letters of a line above one of several small panels."""

INK, MUTED, GRID, PAPER = "#22252a", "#646b75", "#e0e2e5", "#ffffff"
SERIES = ("#1b62a5", "#b8460e", "#1c7c58", "#8a45a6", "#8a6a00", "#56606d")
"""Distinguishable with the common colour-vision deficiencies, and at least 4.5:1 on white; markers
differ as well. `THEME` serves darker and lighter surfaces."""

COLOURS = 128
"""In the palette of a PNG: hues and what softens their edges."""

MARKERS = ("o", "s", "D", "^", "v")
"""One fewer than colours, so that a pair of colour and marker recurs only after 30 series."""

MOST_ROWS = 30
"""Rows of one figure: a reader takes in no more."""

MOST_PANELS = 12
"""Small panels of one figure."""

embed_quickly()

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
    "axes.formatter.useoffset": False,  # a ratio near 1 is written out
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
    """A rendered figure with its title and caption."""

    name: str
    """Name of its files, without suffix."""
    title: str
    caption: str
    svg: str
    csv: str
    """The drawn numbers, with units in the column names."""
    png: bytes = b""
    """Empty, like `pdf`, for a page without files."""
    pdf: bytes = b""
    """At column width, for papers."""

    @property
    def files(self) -> dict[str, bytes]:
        """Content by suffix."""
        text = {"svg": self.svg.encode(), "csv": self.csv.encode()}
        return text | {"png": self.png, "pdf": self.pdf}


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
    """True while figures for one column are drawn, which have fewer things side by side."""
    return bool(mpl.rcParams["figure.figsize"][0] < (PAGE_INCHES + COLUMN_INCHES) / 2)


def canvas(height_inches: float, rows: int = 1, columns: int = 1, **options: Any) -> Any:
    """(canvas, axes) of the width in force; `axes` as `Figure.subplots` gives it."""
    width = mpl.rcParams["figure.figsize"][0]
    figure = Canvas(figsize=(width, height_inches), layout="constrained")
    return figure, figure.subplots(rows, columns, **options)


def side_by_side(count: int, row_inches: float, more_inches: float = 0.0) -> Any:
    """(canvas, `count` axes): beside each other with one vertical scale, or stacked if narrow."""
    rows, columns = (count, 1) if narrow() else (1, count)
    height = row_inches * rows + more_inches
    figure, axes = canvas(height, rows, columns, sharey=not narrow(), squeeze=False)
    return figure, list(axes.flat)


def panels(titles: Sequence[str], *, head_inches: float, row_inches: float) -> Any:
    """(canvas, axes) of small panels with titles, which share both scales."""
    columns = min(2 if narrow() else 3, len(titles))
    rows = math.ceil(len(titles) / columns)
    height = head_inches + row_inches * rows
    figure, axes = canvas(height, rows, columns, sharex=True, sharey=True, squeeze=False)
    for unused in axes.flat[len(titles) :]:
        unused.set_visible(False)
    used = list(axes.flat[: len(titles)])
    letters = NARROW_LETTERS if narrow() else PAGE_LETTERS
    for panel, title in zip(used, titles, strict=True):
        words = textwrap.fill(title, letters, break_long_words=False, break_on_hyphens=False)
        panel.set_title(words, fontsize=8, fontweight="normal")
        grid_only(panel, "y")
    for panel in used[-columns:]:  # below some of them there is none that has the numbers
        panel.tick_params(labelbottom=True)
    return figure, used


def left_out(count: int, noun: str = "experiment") -> str:
    """The end of a caption that says how much found no room; empty if nothing is left out."""
    return f" Not drawn: {plural(count, f'more {noun}')}; the tables have all." * (count > 0)


def label_rows(axes: Axes, labels: Sequence[str]) -> None:
    """One row for each label, from the top."""
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    grid_only(axes, "x")


def value_beside(axes: Axes, row: float, text: str) -> None:
    """Write the value of a row right of the axes."""
    _in_row(axes, 1.01, row, text, color=INK)


def note_in_row(axes: Axes, row: float, text: str, color: str = MUTED) -> None:
    """Write in a row why it has no value."""
    _in_row(axes, 0.01, row, text, color=color, style="italic")


def _in_row(axes: Axes, across: float, row: float, text: str, **look: Any) -> None:
    place = ("axes fraction", "data")
    axes.annotate(text, (across, row), xycoords=place, va="center", fontsize=7.5, **look)


def open_end(axes: Axes, place: tuple[float, float], pointing: str, colour: str) -> None:
    """A hollow triangle on the axis of zero, beyond which the interval continues."""
    axes.plot(*place, pointing, mfc="none", mec=colour, ms=6, mew=1.2, clip_on=False, zorder=4)


def exact_ticks(axes: Axes, values: Sequence[float]) -> None:
    """Ticks at these values alone, with their numbers as a user writes them."""
    axes.set_xticks(values, [exact(value) for value in values])
    axes.minorticks_off()


def whole_ticks(axes: Axes) -> None:
    """Horizontal ticks at whole numbers only."""
    axes.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 2.5, 5, 10], integer=True))


def grid_only(axes: Axes, axis: str) -> None:
    """Keep the grid lines that belong to values of `axis` (`x` or `y`)."""
    axes.grid(visible=False, axis="y" if axis == "x" else "x")


def legend_below(figure: Canvas, columns: int, *entries: Any) -> None:
    """A legend under the axes; `entries` are handles and labels, unless artists have labels."""
    figure.legend(*entries, loc="outside lower center", ncols=columns)


def rendered(drawing: Drawing, column: Drawing | None = None) -> Figure:
    """The SVG of a drawing, and PNG and PDF as well if it is also given in `column` width.

    Equal drawings give equal bytes.
    """
    title = {"Title": drawing.title}
    _lay_out(FigureCanvasSVG(drawing.canvas))
    with mpl.rc_context({"svg.hashsalt": drawing.name}):
        svg = _saved(drawing.canvas, "svg", title | {"Date": None})
    if column is not None:
        _lay_out(FigureCanvasPdf(column.canvas))
    return Figure(
        name=drawing.name,
        title=drawing.title,
        caption=drawing.caption,
        svg=compact(svg.decode()),
        csv=csv_of(drawing.data, digits=9).decode(),
        png=_pixels(drawing.canvas) if column else b"",
        pdf=_saved(column.canvas, "pdf", title | {"CreationDate": None}) if column else b"",
    )


def _lay_out(surface: FigureCanvasBase) -> None:
    """Lay a drawing out once, for the surface that it is first drawn on: to save it in each kind of
    file, matplotlib would lay it out by drawing it once more."""
    engine = surface.figure.get_layout_engine()
    assert engine is not None
    surface.figure.set_dpi(72)
    engine.execute(surface.figure)
    surface.figure.set_layout_engine(None)


def _saved(canvas: Canvas, kind: str, metadata: dict[str, str | None]) -> bytes:
    file = io.BytesIO()
    canvas.savefig(file, format=kind, metadata=metadata)
    return file.getvalue()


def _pixels(canvas: Canvas) -> bytes:
    """PNG with a palette: figures have few colours, and it takes a third of the space."""
    canvas.set_dpi(_RC["savefig.dpi"])
    pixels, size = FigureCanvasAgg(canvas).print_to_buffer()  # type: ignore[no-untyped-call]
    file, image = io.BytesIO(), Image.frombytes("RGBA", size, pixels).convert("RGB")
    drawn = image.quantize(COLOURS, method=Image.Quantize.FASTOCTREE)  # the fastest
    # It rounds means down: what is as good as white is white.
    colours = np.asarray(drawn.getpalette()).reshape(-1, 3)
    colours[(colours >= 252).all(axis=1)] = 255
    drawn.putpalette(colours.ravel().tolist())
    drawn.save(file, format="png", dpi=(_RC["savefig.dpi"],) * 2)
    return file.getvalue()
