"""All figures of a campaign, in the order in which the page shows them."""

import json
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from llm_energy.analysis.summary import Summary
from llm_energy.report import (
    budget,
    distributions,
    forest,
    limit_section,
    pareto_figure,
    power_figure,
    serving_figures,
    settings_figure,
    traces,
)
from llm_energy.report.estimates import estimates
from llm_energy.report.style import COLUMN_INCHES, PAGE_INCHES, Drawing, Figure, rendered, styled
from llm_energy.results.metrics import METRICS
from llm_energy.system.files import write_atomically
from llm_energy.system.processes import die_with_parent

INDEX = "figures.json"

FORK = multiprocessing.get_context("fork")
MOST_WORKERS = 4
"""Processes that draw; with more, most would wait for the figure that takes longest."""

PARTS: Sequence[Callable[[Summary], Drawing | list[Drawing] | None]] = (
    pareto_figure.trade_off,
    forest.energy,
    forest.throughput,
    serving_figures.by_request_rate,
    *(partial(settings_figure.by_setting, metric=metric) for metric in settings_figure.METRICS),
    limit_section.by_limit,
    forest.latency,
    distributions.latencies,
    power_figure.power,
    traces.warmup,
    partial(traces.order, energy=True),
    partial(traces.order, energy=False),
    traces.temperature,
    budget.budget,
)


def draw(summary: Summary) -> list[Figure]:
    """Every figure that the measurements support, as SVG and CSV for a page."""
    with styled(PAGE_INCHES):
        return [rendered(drawing) for part in PARTS for drawing in _drawings(part, summary)]


@contextmanager
def drawing_files(summary: Summary) -> Iterator[Callable[[], list[Figure]]]:
    """Draw the same figures with PNG and PDF, which take four times as long, in other processes.

    Yields a function that waits for them; what is not drawn by the end is left.
    """
    for metric in METRICS:
        estimates(summary, metric)  # once for all processes, which would each do it again
    workers = min(len(os.sched_getaffinity(0)), MOST_WORKERS)
    pool = ProcessPoolExecutor(workers, FORK, initializer=_begin, initargs=(summary, os.getpid()))
    try:
        made = pool.map(_files_of_part, range(len(PARTS)))
        yield lambda: [figure for figures in made for figure in figures]
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(summary: Summary, parent_pid: int) -> None:
    """Become a process that draws figures of a summary: forked, it needs no copy of it."""
    die_with_parent(parent_pid)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # its parent ends it
    global _summary
    _summary = summary


_summary: Summary | None = None
"""In a process that draws, the summary that it draws."""


def _files_of_part(number: int) -> list[Figure]:
    assert _summary is not None
    return render_files(partial(_drawings, PARTS[number], _summary))


def _drawings(
    part: Callable[[Summary], Drawing | list[Drawing] | None], summary: Summary
) -> list[Drawing]:
    found = part(summary)
    if found is None:
        return []
    return found if isinstance(found, list) else [found]


def render_files(drawings: Callable[[], Sequence[Drawing]]) -> list[Figure]:
    """Figures with all their files; `drawings` is called once for each of the two widths."""
    with styled(COLUMN_INCHES):
        columns = drawings()
    with styled(PAGE_INCHES):
        pages = drawings()
        return [rendered(page, column) for page, column in zip(pages, columns, strict=True)]


def write_figures(folder: Path, figures: Sequence[Figure]) -> None:
    """Write all files of each figure, and the index with titles and captions last."""
    for figure in figures:
        for kind, content in figure.files.items():
            write_atomically(folder / f"{figure.name}.{kind}", content)
    index = [{"name": f.name, "title": f.title, "caption": f.caption} for f in figures]
    write_atomically(folder / INDEX, json.dumps(index, indent=1, ensure_ascii=False).encode())
