"""Make the example's page and the documentation's pictures again, from the stored results.

    .venv/bin/python docs/pictures.py

Needs Chromium for the picture of the report.
"""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

from tests.browser import DESKTOP, Browser  # noqa: E402

from llm_energy.analysis.aggregate import aggregate  # noqa: E402
from llm_energy.analysis.design import Design  # noqa: E402
from llm_energy.analysis.summary import Summary  # noqa: E402
from llm_energy.report.figures import drawing_files  # noqa: E402
from llm_energy.report.page import render_page, write_page  # noqa: E402
from llm_energy.results.layout import files  # noqa: E402

EXAMPLE = ROOT / "docs/example/smollm2-cpu"
PAGE = EXAMPLE.parent
IMAGES = ROOT / "docs/images"
FIGURES = ("throughput-by-batch-size", "latency-distributions", "warm-up")
SCREEN = DESKTOP | {"width": 1100, "height": 1250}


def example() -> Summary:
    """Summarise the stored results anew; only the design comes from the stored summary."""
    findings = json.loads((EXAMPLE / "summary/summary.json").read_text())
    planned = sorted(
        path.relative_to(EXAMPLE).as_posix() for path in files(EXAMPLE, "measurements")
    )
    return aggregate(EXAMPLE, planned=planned, design=Design(**findings["design"]))


def main() -> None:
    summary = example()
    with drawing_files(summary) as drawn:
        figures = drawn()
    for figure in figures:
        if figure.name in FIGURES:
            (IMAGES / f"{figure.name}.svg").write_text(figure.svg)
    page = write_page(PAGE, render_page(summary, figures, partial=False), partial=False)
    with Browser() as browser:
        browser.open(page, screen=SCREEN)
        browser.screenshot(IMAGES / "report.png", whole=False)


if __name__ == "__main__":
    main()
