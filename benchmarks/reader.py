"""From nothing to a report made again, without a GPU: what a reader waits for, part by part.

    .venv/bin/python benchmarks/reader.py

The campaign is the worked example (docs/example), which was really measured; its raw data are put
into a new clone of the last commit as published results are. The clone is from this folder and
pip's cache is as it is: a first download takes longer. Beside it, the same from the campaign's
archive, in the clone's environment. Ratios are to the time that the example's measurements took.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "scripts")]

from llm_energy.archive.reproduce import MADE, PLANNED  # noqa: E402
from llm_energy.results.layout import files  # noqa: E402
from llm_energy.results.result import read_result  # noqa: E402

NAME = "smollm2-cpu"
RESULTS = Path("results", NAME)
SNAKEMAKE = [".venv/bin/snakemake", "--cores", "1", "--profile", "workflow-profile"]


def measuring_s(example: Path) -> float:
    """Seconds that the measurements of a campaign took, without what was between them."""
    results = [read_result(path) for path in files(example, "measurements")]
    spans = [
        (datetime.fromisoformat(r.started), datetime.fromisoformat(r.finished)) for r in results
    ]
    return sum((finished - started).total_seconds() for started, finished in spans)


class Clock:
    """Runs commands and tells how long each took, beside what measuring took."""

    def __init__(self, measured_s: float, python: Path) -> None:
        self.measured_s = measured_s
        plain = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        self.environment = {**plain, "WORKFLOW_PYTHON": str(python)}

    def tell(self, what: str, taken_s: float) -> None:
        print(f"{what:<36} {taken_s:7.1f} s   {taken_s / self.measured_s:5.2f}", flush=True)

    def run(self, what: str, *command: str, folder: Path) -> float:
        """Seconds that a command took, which must succeed."""
        begun = time.monotonic()
        done = subprocess.run(
            command, cwd=folder, env=self.environment, capture_output=True, text=True
        )
        taken_s = time.monotonic() - begun
        if done.returncode:
            sys.exit(f"{what}: {(done.stdout + done.stderr)[-2000:]}")
        self.tell(what, taken_s)
        return taken_s


def planned(clone: Path) -> dict[str, str]:
    """How many jobs of each rule are to be done."""
    command = [*SNAKEMAKE, "--dry-run"]
    done = subprocess.run(command, cwd=clone, capture_output=True, text=True, check=True)
    return dict(PLANNED.findall(done.stdout))


def main() -> None:
    example = ROOT / "docs/example" / NAME
    folder = Path(tempfile.mkdtemp(prefix="llm-energy-reader-"))
    clone = folder / "clone"
    clock = Clock(measuring_s(example), clone / ".venv/bin/python")
    try:
        print(f"{'':<36} {'time':>9}   ratio")
        clock.tell("measuring the example", clock.measured_s)
        source = ["git", "clone", "-q", "--no-hardlinks", str(ROOT), str(clone)]
        parts = [
            clock.run("clone", *source, folder=folder),
            clock.run("set-up", "make", "setup", folder=clone),
        ]
        shutil.copytree(example, clone / RESULTS, ignore=shutil.ignore_patterns(*MADE))
        if "measure" in planned(clone):
            sys.exit("the example is not what this commit would measure: measure it again")
        parts.append(clock.run("tables, figures and report", *SNAKEMAKE, folder=clone))
        assert (clone / RESULTS / "report.html").exists()
        clock.tell("from nothing to the report", sum(parts))
        clock.run("the author makes an archive", *SNAKEMAKE, "archive", folder=clone)
        archive = clone / RESULTS / f"archive/{NAME}.tar.gz"
        clock.run("unpacking it", "tar", "-xzf", str(archive), folder=folder)
        clock.run("checking it", "./reproduce.sh", "verify", folder=folder / NAME)
        clock.run("checking, making, comparing all", "./reproduce.sh", folder=folder / NAME)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
