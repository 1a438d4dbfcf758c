"""How long the report takes and how large it becomes, at 20, 200 and 1,000 experiments.

    python benchmarks/report.py [experiments ...]

Synthetic campaigns of 3 cycles with energy and all side files. Prints seconds for reading the
results, for figures with all their files and for the page, the size of the page, and where
Chromium is installed how long it takes until the page is loaded and a table of all measurements is
sorted.
"""

import itertools
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts"), str(ROOT / "tests/llm_energy")]


import make_results  # noqa: E402
from tests.browser import Browser, found_chromium  # noqa: E402

from llm_energy.analysis.aggregate import aggregate  # noqa: E402
from llm_energy.report.figures import drawing_files  # noqa: E402
from llm_energy.report.page import render_page, write_page  # noqa: E402

CYCLES = 3
SORT = """(() => {
  const started = performance.now();
  document.querySelector("#measurements details").open = true;
  document.querySelector("#measurements-table th button").click();
  document.body.getBoundingClientRect();
  return (performance.now() - started) / 1000;
})()"""


def experiments(count: int) -> dict[str, dict[str, object]]:
    """A grid of batch sizes, output lengths and threads."""
    return {
        f"grid_batch{batch}_out{length}_threads{threads}": {
            "batch_size": batch,
            "output_tokens": length,
            "engine_options": {"threads": threads},
        }
        for threads in range(1, 1 + -(-count // 20))
        for batch in (1, 2, 4, 8)
        for length in (8, 16, 24, 32, 48)
    }


def measure(folder: Path, count: int) -> str:
    grid = dict(list(experiments(count).items())[:count])
    planned = make_results.make_campaign(
        folder, experiments=grid, cycles=CYCLES, metered=True, side_files=True
    )
    design = make_results.design(reference=next(iter(grid)))
    marks = [time.perf_counter()]
    summary = aggregate(folder, planned=planned, design=design)
    marks.append(time.perf_counter())
    with drawing_files(summary) as drawn:
        figures = drawn()
    marks.append(time.perf_counter())
    page = write_page(folder, render_page(summary, figures, partial=False), partial=False)
    marks.append(time.perf_counter())
    read, drawn, rendered = (b - a for a, b in itertools.pairwise(marks))
    loaded = sort = "-"
    if found_chromium():
        with Browser() as browser:
            loaded = f"{browser.open(page):.2f}"
            sort = f"{browser.evaluate(SORT):.2f}"
    size = page.stat().st_size / 1e6
    return f"{count:11} {read:7.1f} {drawn:9.1f} {rendered:7.1f} {size:9.2f} {loaded:>9} {sort:>7}"


def main() -> None:
    print(
        f"{'experiments':>11} {'read s':>7} {'figures s':>9} {'page s':>7} {'page MB':>9} ", end=""
    )
    print(f"{'loaded s':>9} {'sort s':>7}")
    for count in map(int, sys.argv[1:] or ("20", "200", "1000")):
        with tempfile.TemporaryDirectory(prefix="llm-energy-report.") as folder:
            print(measure(Path(folder), count), flush=True)


if __name__ == "__main__":
    main()
