"""All figures of a campaign, in the order in which the page shows them."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from llm_energy.analysis.summary import Summary
from llm_energy.report import (
    budget,
    distributions,
    forest,
    pareto_figure,
    power_figure,
    settings_figure,
    traces,
)
from llm_energy.report.style import COLUMN_INCHES, PAGE_INCHES, Drawing, Figure, rendered, styled
from llm_energy.results.metrics import JOULES_PER_OUTPUT_TOKEN, THROUGHPUT
from llm_energy.system.files import write_atomically

INDEX = "figures.json"


def draw(summary: Summary) -> list[Figure]:
    """Every figure that the measurements support, as SVG and CSV for a page."""
    with styled(PAGE_INCHES):
        return [rendered(drawing) for drawing in _drawings(summary)]


def draw_files(summary: Summary) -> list[Figure]:
    """The same figures with PNG and PDF, which take four times as long."""
    return render_files(lambda: _drawings(summary))


def render_files(drawings: Callable[[], Sequence[Drawing]]) -> list[Figure]:
    """Figures with all their files; `drawings` is called once for each of the two widths."""
    with styled(COLUMN_INCHES):
        columns = drawings()
    with styled(PAGE_INCHES):
        pages = drawings()
        return [rendered(page, column) for page, column in zip(pages, columns, strict=True)]


def _drawings(summary: Summary) -> list[Drawing]:
    drawings = [
        pareto_figure.trade_off(summary),
        forest.energy(summary),
        forest.throughput(summary),
        *settings_figure.by_setting(summary),
        forest.latency(summary),
        distributions.latencies(summary),
        power_figure.power(summary),
        traces.warmup(summary),
        traces.order(summary, JOULES_PER_OUTPUT_TOKEN),
        traces.order(summary, THROUGHPUT),
        traces.temperature(summary),
        budget.budget(summary),
    ]
    return [drawing for drawing in drawings if drawing is not None]


def write_figures(folder: Path, figures: Sequence[Figure]) -> None:
    """Write all files of each figure, and the index with titles and captions last."""
    for figure in figures:
        for kind, content in figure.files.items():
            write_atomically(folder / f"{figure.name}.{kind}", content)
    index = [{"name": f.name, "title": f.title, "caption": f.caption} for f in figures]
    write_atomically(folder / INDEX, json.dumps(index, indent=1, ensure_ascii=False).encode())
