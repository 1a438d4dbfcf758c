"""How the workflow grows with a campaign: time and memory for 100, 1,000 and 10,000 measurements.

    .venv/bin/python benchmarks/scale.py [--sizes 100 1000 10000]
    .venv/bin/python benchmarks/scale.py --against WORKTREE [--sizes 12 1000 10000] [--rounds 5]

Results are synthetic, except for the one that is measured (on the tests' sleeping engine) when a
campaign is resumed. Each command is the real one; its CPU time is that of all its processes, its
memory that of the largest. `growth` is CPU time over the CPU time of the size before: other work on
the machine lengthens the wall time, which the targets are for.

With `--against`, the tables and the report of equal campaigns are made by this tree and by another
worktree (with a `.venv`) in turns, and the ratios of their medians are printed with their targets:
of wall time, which counts on a quiet machine, and of CPU time, which other work changes less;
likewise the time of a dry run over that of `bare.smk`, which has the same jobs: without functions
of wildcards, and with those that a workflow of several models needs.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts"), str(ROOT / "tests/llm_energy")]

from tests.browser import Browser, found_chromium  # noqa: E402
from tests.integration.workflow import Tree  # noqa: E402
from tests.llm_energy.make_scale import campaign_of, write_results  # noqa: E402

TIME_TARGETS = {12: 0.5, 1000: 0.5, 10_000: 0.45}
MEMORY_TARGET, DRY_TARGET = 0.7, 1.05
"""Ratios to the other worktree, and to bare rules."""

STATUS_TARGET_S, PAGE_TARGET_S, PAGE_TARGET_MB = 2.0, 3.0, 12.0

TARGETS = {"no-op rerun": 30.0, "aggregate and report": 60.0}
"""Seconds that 10,000 measurements may take."""


def timed(tree: Tree, *arguments: str) -> tuple[float, float, float]:
    """(wall time in s, CPU time in s, memory in MB) of one command, which must succeed."""
    begun = time.monotonic()
    process = tree.start(*arguments)
    _, status, usage = os.wait4(process.pid, 0)
    taken_s = time.monotonic() - begun
    if status:
        sys.exit(f"{arguments}: {tree.output()[-2000:]}")
    return taken_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def grown(size: int, folder: Path) -> dict[str, tuple[float, float, float]]:
    """Return the duration of each command for a campaign of `size` measurements."""
    tree = Tree.create(folder / f"tree-{size}", campaign_of(size))
    found = {"dry run, nothing measured": timed(tree, "--dry-run", "--quiet")}
    paths = write_results(tree.campaign(), tree.folder / "results/nap")
    found["aggregate and report"] = timed(tree)
    found["no-op rerun"] = timed(tree)
    found["status"] = timed(tree, "status")
    timed(tree, "inputs")
    paths[len(paths) // 2].unlink()
    found["resume with one missing"] = timed(tree, "measurements")
    return found


MAKE = """
import json, sys
from pathlib import Path
sys.path[:0] = [".", "scripts", "tests/llm_energy"]
from tests.integration.workflow import Tree
from tests.llm_energy.make_scale import write_results
tree = Tree.create(Path(sys.argv[1]), json.loads(sys.argv[2]))
write_results(tree.campaign(), tree.folder / "results/nap")
"""
"""Run in a worktree: results of another build may have fields that it does not know."""

DERIVED = ("summary", "figures", "tables", "report.html")
ROUNDS = 5


def judged(name: str, value: float, target: float, unit: str = "×") -> str:
    """One line: a value, its target, and whether it is met."""
    met = "met" if value <= target else "NOT MET"
    return f"{name:<52} {value:>6.2f} {unit:<2} (target at most {target:g}): {met}"


def medians(runs: Sequence[Sequence[float]]) -> list[float]:
    """Median of each column."""
    return [statistics.median(column) for column in zip(*runs, strict=True)]


def against(size: int, folder: Path, other: Path, rounds: int) -> Iterator[str]:
    """Compare the tables and the report of this tree and of another worktree, in turns."""
    trees, taken = [], defaultdict(list)
    for name, root in (("this", ROOT), ("other", other)):
        tree = Tree(folder / f"{name}-{size}")
        command = [str(root / ".venv/bin/python"), "-c", MAKE, str(tree.folder)]
        subprocess.run([*command, json.dumps(campaign_of(size))], cwd=root, check=True)
        trees.append(tree)
    for _ in range(rounds):
        for tree in trees:
            for name in DERIVED:
                path = tree.folder / "results/nap" / name
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
            taken[tree.folder].append(timed(tree))
    own, others = (medians(taken[tree.folder]) for tree in trees)
    yield f"{size} measurements: aggregate and report"
    target = TIME_TARGETS.get(size, TIME_TARGETS[12])
    for place, kind in enumerate(("wall time", "CPU time")):
        name = f"  {kind} ({own[place]:.1f} s against {others[place]:.1f} s)"
        yield judged(name, own[place] / others[place], target)
    name = f"  memory ({own[2]:.0f} MB against {others[2]:.0f} MB)"
    yield judged(name, own[2] / others[2], MEMORY_TARGET if size >= 10_000 else 1.0)
    if size >= 10_000:
        status_s = medians([timed(trees[0], "status") for _ in range(rounds)])[1]
        yield judged("  status, CPU time", status_s, STATUS_TARGET_S, "s")
        yield from page(trees[0].folder / "results/nap/report.html", rounds)


def page(path: Path, rounds: int) -> Iterator[str]:
    """Size of a report, and how long headless Chromium takes until it is loaded."""
    yield judged("  page, size", path.stat().st_size / 1e6, PAGE_TARGET_MB, "MB")
    if not found_chromium():
        yield "  page, until loaded: not measured, since there is no Chromium"
        return
    with Browser() as browser:
        loaded_s = statistics.median(browser.open(path) for _ in range(rounds))
    yield judged("  page, until loaded", loaded_s, PAGE_TARGET_S, "s")


def against_bare(size: int, folder: Path, rounds: int) -> Iterator[str]:
    """Compare a dry run of what is not measured with that of Snakemake's rules alone, in turns."""
    tree = Tree.create(folder / f"unmeasured-{size}", campaign_of(size))
    paths = [f"results/bare/{planned.result_path}" for planned in tree.campaign().schedule]
    (tree.folder / "bare.json").write_text(json.dumps(paths))
    dry = ["--dry-run", "--quiet"]
    bare = ["--snakefile", "benchmarks/bare.smk"]
    commands = [[], bare, [*bare, "--config", "functions=true"]]
    runs = [[timed(tree, *each, *dry)[1] for each in commands] for _ in range(rounds)]
    own_s, bare_s, functions_s = medians(runs)
    name = f"{size} unmeasured: dry run ({own_s:.1f} s against {bare_s:.1f} s bare)"
    yield judged(name, own_s / bare_s, DRY_TARGET)
    yield judged(f"  with functions ({functions_s:.1f} s)", own_s / functions_s, DRY_TARGET)


def compare(sizes: Sequence[int], other: Path, rounds: int) -> None:
    """Print each target with what was measured."""
    with tempfile.TemporaryDirectory(prefix="llm-energy-scale-") as name:
        for size in sizes:
            for line in against(size, Path(name), other, rounds):
                print(line, flush=True)
        for line in against_bare(max(sizes), Path(name), rounds):
            print(line, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", type=int, nargs="+")
    parser.add_argument("--against", type=Path, metavar="WORKTREE")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="with --against (default 5)")
    options = parser.parse_args()
    if options.against:
        compare(options.sizes or [12, 1000, 10_000], options.against.absolute(), options.rounds)
        return
    sizes = options.sizes or [100, 1000, 10_000]
    folder = Path(tempfile.mkdtemp(prefix="llm-energy-scale-"))
    before: dict[str, tuple[float, float, float]] = {}
    print(f"{'measurements':>12}  {'command':<26} {'time':>8} {'CPU':>8} {'memory':>9}  growth")
    try:
        for size in sizes:
            now = grown(size, folder)
            for name, (taken_s, cpu_s, memory_mb) in now.items():
                growth = f"×{cpu_s / before[name][1]:.1f}" if before else ""
                line = f"{size:>12}  {name:<26} {taken_s:>6.1f} s {cpu_s:>6.1f} s"
                line += f" {memory_mb:>6.0f} MB  {growth}"
                if size == 10_000 and name in TARGETS:
                    kept = "kept" if taken_s <= TARGETS[name] else "MISSED"
                    line += f"  (target {TARGETS[name]:.0f} s: {kept})"
                print(line, flush=True)
            before = now
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
