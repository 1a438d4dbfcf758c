"""Overhead of a cluster: time from command to first measurement, with and without Slurm.

    .venv/bin/python benchmarks/slurm.py [--rounds 3]

Runs the same campaign of short measurements on the engine that sleeps in three ways, one after the
other in each round, each in a copy of a tree whose inputs are ready: the plain command, the whole
workflow in one allocation (`campaign.sbatch`), and spread over nodes by Snakemake's plugin. Prints
the medians and their ratios to the plain command. The Slurm is started here, on this machine: it
has no queue, so that the times are those of the programs alone. Needs root and Debian's slurm-wlm
and munge; the plugin is installed into a temporary folder.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

from tests.integration.slurm import Cluster, python_with_plugin  # noqa: E402
from tests.integration.workflow import Tree, wait_for  # noqa: E402

CONFIG = ["--configfile", "config/nap.yaml"]
WAYS = ("plain command", "one allocation", "spread over nodes")


def first_and_last(tree: Tree, since: float) -> tuple[float, float]:
    """Seconds until the first measurement began and until the last one was finished."""
    results = [json.loads(path.read_text()) for path in tree.results()]
    begun = min(datetime.fromisoformat(result["started"]) for result in results)
    ended = max(datetime.fromisoformat(result["finished"]) for result in results)
    return begun.timestamp() - since, ended.timestamp() - since


def plain(tree: Tree, cluster: Cluster, python: str) -> None:  # noqa: ARG001
    tree.run("measurements", check=True)


def allocated(tree: Tree, cluster: Cluster, python: str) -> None:  # noqa: ARG001
    script = Path("workflow-profile/slurm/campaign.sbatch")
    job = cluster.submit(script, "measurements", *CONFIG, options=[], cwd=tree.folder)
    wait_for(lambda: cluster.state(job) == "COMPLETED", why=cluster.state(job))


def spread(tree: Tree, cluster: Cluster, python: str) -> None:
    command = [
        python,
        "-m",
        "snakemake",
        "measurements",
        "--workflow-profile",
        "workflow-profile/slurm",
    ]
    command += ["--slurm-status-command", "squeue", *CONFIG]
    subprocess.run(
        command, cwd=tree.folder, env=cluster.environment, capture_output=True, check=True
    )


RUN: dict[str, Callable[[Tree, Cluster, str], None]] = dict(
    zip(WAYS, (plain, allocated, spread), strict=True)
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    if os.geteuid() != 0:
        sys.exit("Slurm's daemons need root")
    seen: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        python = python_with_plugin(folder / "plugin")
        ready = Tree.create(folder / "ready")
        (ready.folder / ".venv").symlink_to(Path(sys.executable).parent.parent)
        ready.run("inputs", check=True)
        cluster = Cluster(folder / "slurm", ("node-a", "node-b"))
        try:
            cluster.start()
            for number in range(rounds):
                for way in WAYS:
                    tree = ready.copy(folder / f"{way.split()[0]}-{number}")
                    since = time.time()
                    RUN[way](tree, cluster, python)
                    seen[way].append(first_and_last(tree, since))
        finally:
            cluster.stop()
    plainly = [statistics.median(times) for times in zip(*seen[WAYS[0]], strict=True)]
    print(f"{'':18} to the first measurement   to the end of the last of 4")
    for way, times in seen.items():
        first, last = (statistics.median(each) for each in zip(*times, strict=True))
        print(
            f"{way:18} {first:10.1f} s  {first / plainly[0]:5.1f}×       "
            f"{last:10.1f} s  {last / plainly[1]:5.1f}×"
        )


if __name__ == "__main__":
    main()
