"""All figures of a campaign, in the order in which the page shows them."""

import json
from collections.abc import Sequence
from pathlib import Path

from llm_energy.report import axes, forest, traces
from llm_energy.report.style import Figure, render, styled
from llm_energy.results import write_atomically
from llm_energy.summary import Summary

INDEX = "figures.json"


def draw(summary: Summary) -> list[Figure]:
    """Every figure that the measurements support; what was not measured has none."""
    with styled():
        drawings = [
            forest.energy(summary),
            forest.throughput(summary),
            forest.latency(summary),
            *axes.throughput_by_setting(summary),
            traces.order(summary),
            traces.warmup(summary),
        ]
        return [render(drawing) for drawing in drawings if drawing is not None]


def write_figures(folder: Path, figures: Sequence[Figure]) -> None:
    """Write SVG and PNG of each figure, and the index with titles and captions last."""
    for figure in figures:
        write_atomically(folder / f"{figure.name}.svg", figure.svg.encode())
        write_atomically(folder / f"{figure.name}.png", figure.png)
    index = [{"name": f.name, "title": f.title, "caption": f.caption} for f in figures]
    write_atomically(folder / INDEX, json.dumps(index, indent=1, ensure_ascii=False).encode())


def read_figures(folder: Path) -> list[Figure]:
    """What `write_figures` wrote."""
    return [
        Figure(
            **entry,
            svg=(folder / f"{entry['name']}.svg").read_text(),
            png=(folder / f"{entry['name']}.png").read_bytes(),
        )
        for entry in json.loads((folder / INDEX).read_text())
    ]
