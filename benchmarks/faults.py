"""How a campaign survives: SIGKILL of one of its processes at a random moment, again and again.

    .venv/bin/python benchmarks/faults.py [--trials 100] [--first-seed 1000]

Each trial is one run of the same command, which measures a small campaign on the engine that
sleeps in a temporary copy of the tree: Snakemake, the measuring job, the supervisor, the engine or
the watchdog is killed at a moment that the trial's seed chooses. The next trial goes on with what
is missing, and begins a new copy where nothing is. Printed are the trials, those in which the
victim lived at its moment, survivors (processes or records that outlived a run) and losses (results
lost, changed or damaged, tables that differ from those of an undisturbed run). Exit code 1 where
there is a survivor or a loss.
"""

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

from tests.integration.faults import VICTIMS, prepared, trials  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--first-seed", type=int, default=1000)
    arguments = parser.parse_args()
    made, hits, bad = Counter[str](), Counter[str](), Counter[str]()
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        template = prepared(Path(folder) / "template")
        seeds = range(arguments.first_seed, arguments.first_seed + arguments.trials)
        for seed, fault, outcome in trials(template, Path(folder), seeds):
            if fault is not None:
                made[fault.victim] += 1
                hits[fault.victim] += outcome.hit
            bad["survivors"] += len(outcome.survivors)
            bad["losses"] += len(outcome.losses)
            for line in [*outcome.survivors, *outcome.losses]:
                print(f"seed {seed}, {fault}: {line}", flush=True)
    for victim in VICTIMS:
        print(f"{victim:>14}: {made[victim]:4} trials, killed in {hits[victim]}")
    print(
        f"{made.total()} trials, killed in {hits.total()}: "
        f"{bad['survivors']} survivors, {bad['losses']} losses"
    )
    return 1 if bad.total() else 0


if __name__ == "__main__":
    sys.exit(main())
