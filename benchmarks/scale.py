"""How the workflow grows with a campaign: time and memory for 100, 1,000 and 10,000 measurements.

    .venv/bin/python benchmarks/scale.py [--sizes 100 1000 10000] [--against WORKTREE]

Results are synthetic, except for the one that is measured (on the tests' sleeping engine) when a
campaign is resumed. Each command is the real one; its CPU time is that of all its processes, its
memory that of the largest. `growth` is CPU time over the CPU time of the size before: other work on
the machine lengthens the wall time, which the targets are for.

With `--against`, the tables and the report of equal campaigns are made by this tree and by another
worktree (with a `.venv`) in turns, and the ratios of their medians are printed.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts"), str(ROOT / "tests/llm_energy")]

from tests.integration.workflow import Tree  # noqa: E402
from tests.llm_energy.make_scale import campaign_of, write_results  # noqa: E402

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
import sys
from pathlib import Path
sys.path[:0] = [".", "scripts", "tests/llm_energy"]
from tests.integration.workflow import Tree
from tests.llm_energy.make_scale import campaign_of, write_results
tree = Tree.create(Path(sys.argv[1]), campaign_of(int(sys.argv[2])))
write_results(tree.campaign(), tree.folder / "results/nap")
"""
"""Run in a worktree: results of another build may have fields that it does not know."""

DERIVED = ("summary", "figures", "tables", "report.html")
ROUNDS = 5


def compared(size: int, folder: Path, other: Path) -> str:
    """Ratios of this tree to another worktree, for the tables and the report."""
    trees, taken = [], {}
    for name, root in (("this", ROOT), ("other", other)):
        tree = Tree(folder / f"{name}-{size}")
        command = [str(root / ".venv/bin/python"), "-c", MAKE, str(tree.folder), str(size)]
        subprocess.run(command, cwd=root, check=True)
        trees.append(tree)
    for _ in range(ROUNDS):
        for tree in trees:
            for name in DERIVED:
                path = tree.folder / "results/nap" / name
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
            taken.setdefault(tree, []).append(timed(tree))
    own, others = (
        [statistics.median(values) for values in zip(*taken[tree], strict=True)] for tree in trees
    )
    words = ("time", "CPU time", "memory")
    ratios = [f"{w} ×{a / b:.2f}" for w, a, b in zip(words, own, others, strict=True)]
    return f"{size:>12}  {', '.join(ratios)} ({own[0]:.1f} s against {others[0]:.1f} s)"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1000, 10_000])
    parser.add_argument("--against", type=Path, metavar="WORKTREE")
    options = parser.parse_args()
    sizes = options.sizes
    if options.against:
        with tempfile.TemporaryDirectory(prefix="llm-energy-scale-") as name:
            for size in sizes:
                print(compared(size, Path(name), options.against.absolute()), flush=True)
        return
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
