"""Overhead of a measurement: wall time outside windows, warm-ups and model loads.

    .venv/bin/python benchmarks/overhead.py [--measurements 20]
    .venv/bin/python benchmarks/overhead.py --against WORKTREE [--rounds 3]

Runs a campaign of short measurements on the engine that sleeps, through the real command in a
temporary copy of the tree, and prints where the time between measurements goes. `snakemake` is
Snakemake's own start of a job (its scheduling, a Python process, its preamble); all the rest is
ours. The baseline is deliberate waiting and is counted with the measurement, not as overhead; so is
the time for which other measurements of this host hold the device, which is told apart. With
`--against`, another worktree (with a `.venv`) does the same in turns, and ratios are printed: of
our own seconds, and of the CPU time that each further measurement adds to the whole command
(Snakemake, jobs and engine).
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

from tests.integration.workflow import CAMPAIGN, Tree  # noqa: E402

from llm_energy.results.result import read_result  # noqa: E402

TIMES = re.compile(r"times_s (\[.*\])(?: waited_s ([0-9.]+))?")
SNAKEMAKE = "snakemake (from one job's end to the next's start)"
OURS = "ours in sum"
WAITED = "waited for other measurements of this host"
MEASURING = ("load", "idle", "warmup", "window", "tail")
TARGET_S = 0.5
TARGET_RATIO = 0.5
"""Ratio of our own time to that of another worktree, which forks no jobs."""
TARGET_CPU_RATIO = 1.05
"""Ratio of the CPU time that a measurement adds."""
FEW = 2
"""Measurements of the run that tells which CPU time is not theirs."""
ROUNDS = 3


@dataclass(frozen=True, order=True)
class Job:
    """One measurement: CLOCK_MONOTONIC of its steps, and what it spent on itself, in s."""

    begun: float
    imported: float
    measured: float
    written: float
    waited_s: float
    measuring_s: float

    def ours(self) -> dict[str, float]:
        """Seconds of our own by part."""
        dispatch_s = self.measured - self.imported - self.waited_s - self.measuring_s
        return {
            "start (imports, or a fork of what has them)": self.imported - self.begun,
            "dispatch (backend, sessions, sampler)": dispatch_s,
            "writing (result and side files)": self.written - self.measured,
        }


def read_jobs(tree: Tree) -> list[Job]:
    """Every measurement, in the order in which they ran."""
    jobs = []
    for path in tree.results():
        log = tree.folder / "logs/nap/measure" / path.relative_to(path.parents[1])
        found = TIMES.search(log.with_suffix(".log").read_text())
        assert found is not None, f"no times in {log}"
        phases = [p for p in read_result(path).phases if p.name in MEASURING]
        measuring_s = sum(p.end_monotonic_s - p.start_monotonic_s for p in phases)
        jobs.append(Job(*json.loads(found[1]), float(found[2] or 0), measuring_s))
    return sorted(jobs)


def table(jobs: list[Job]) -> Mapping[str, list[float]]:
    """Seconds by part, one value for each measurement that another one came before."""
    parts: dict[str, list[float]] = {SNAKEMAKE: []}
    for before, job in pairwise(jobs):
        parts[SNAKEMAKE].append(job.begun - before.written)
        ours = job.ours()
        for name, seconds in (*ours.items(), (OURS, sum(ours.values())), (WAITED, job.waited_s)):
            parts.setdefault(name, []).append(seconds)
    return parts


COSTS = """
import resource, statistics, sys, tempfile
from pathlib import Path
sys.path.insert(0, "benchmarks")
from overhead import CAMPAIGN, OURS, Tree, read_jobs, table
few, count = map(int, sys.argv[1:])
with tempfile.TemporaryDirectory() as folder:
    tree, cpu_s = Tree.create(Path(folder) / "tree"), []
    tree.run("inputs", check=True)
    for total in (few, few + count):
        tree.write_campaign(CAMPAIGN | {"cycles": total // 2})
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        tree.run("measurements", check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu_s.append(sum(after[:2]) - sum(before[:2]))
    ours_s = statistics.median(table(read_jobs(tree))[OURS])
print(ours_s, (cpu_s[1] - cpu_s[0]) / (count - few))
"""
"""Run in a worktree, by its own benchmark: our own seconds of a measurement, and the CPU time that
each adds to the command, from the difference between `count` and `few` of them."""


def costs_of(root: Path, count: int) -> tuple[float, float]:
    """Return what a measurement costs in a worktree: our own seconds, and the CPU time added."""
    command = [str(root / ".venv/bin/python"), "-c", COSTS, str(FEW), str(count)]
    done = subprocess.run(command, cwd=root, check=True, stdout=subprocess.PIPE, text=True)
    ours_s, cpu_s = map(float, done.stdout.split())
    return ours_s, cpu_s


def compare(other: Path, count: int, rounds: int) -> None:
    """Print the ratios to another worktree, with their targets."""
    runs = [(costs_of(ROOT, count), costs_of(other, count)) for _ in range(rounds)]
    own, others = (zip(*each, strict=True) for each in zip(*runs, strict=True))
    rows = (OURS, TARGET_RATIO), ("CPU time added", TARGET_CPU_RATIO)
    for (name, target), this, that in zip(rows, own, others, strict=True):
        own_s, other_s = statistics.median(this), statistics.median(that)
        met = "met" if own_s / other_s <= target else "NOT MET"
        each = ", ".join(f"{a / b:.2f}" for a, b in zip(this, that, strict=True))
        print(f"{name}, per measurement: {own_s:.3f} s against {other_s:.3f} s")
        print(f"  ×{own_s / other_s:.2f} (rounds {each}; target at most {target:g}): {met}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--measurements", type=int, default=20, help="how many (default 20)")
    parser.add_argument("--against", type=Path, metavar="WORKTREE")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="with --against (default 3)")
    options = parser.parse_args()
    count = options.measurements
    if options.against:
        compare(options.against.absolute(), count, options.rounds)
        return
    with tempfile.TemporaryDirectory() as folder:
        tree = Tree.create(Path(folder) / "tree", CAMPAIGN | {"cycles": (count + 1) // 2})
        tree.run(check=True)
        parts = table(read_jobs(tree))
    print(f"{'s per measurement':52}{'median':>8}{'min':>8}{'max':>8}")
    for name, values in parts.items():
        median = statistics.median(values)
        print(f"{name:52}{median:8.3f}{min(values):8.3f}{max(values):8.3f}")
    ours = statistics.median(parts[OURS])
    print(f"ours / target of {TARGET_S} s: {ours / TARGET_S:.2f}")


if __name__ == "__main__":
    main()
