"""Cost of an archive of 1,000 measurements: size, time, and whether it comes out the same twice.

    .venv/bin/python benchmarks/archive.py [--measurements 1000]

Results are synthetic, each with its requests. Also times what a reader does: verify, and make all
again.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts"), str(ROOT / "tests/llm_energy")]

from scale import timed  # noqa: E402
from tests.integration.workflow import Tree  # noqa: E402
from tests.llm_energy.make_scale import campaign_of, write_results  # noqa: E402

ARCHIVE = Path("results/nap/archive/nap.tar.gz")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--measurements", type=int, default=1000)
    count = parser.parse_args().measurements
    folder = Path(tempfile.mkdtemp(prefix="llm-energy-archive-"))
    try:
        tree = Tree.create(folder / "tree", campaign_of(count))
        write_results(tree.campaign(), tree.folder / "results/nap", requests=True)
        timed(tree)
        digests = []
        for which in ("first", "second"):
            taken_s, cpu_s, memory_mb = timed(tree, "archive")
            content = (tree.folder / ARCHIVE).read_bytes()
            digests.append(hashlib.sha256(content).hexdigest())
            print(
                f"{which} archive of {count} measurements: {len(content) / 1e6:.1f} MB, made in "
                f"{taken_s:.1f} s ({cpu_s:.1f} s of CPU time, {memory_mb:.0f} MB of memory), "
                f"sha256 {digests[-1][:16]}",
                flush=True,
            )
        print("equal bytes" if digests[0] == digests[1] else "OTHER BYTES")
        subprocess.run(["tar", "-xzf", str(tree.folder / ARCHIVE), "-C", str(folder)], check=True)
        for word in ("verify", "reproduce"):
            command = ["bash", "-c", f"time ./reproduce.sh {word}"]
            environment = {**os.environ, "WORKFLOW_PYTHON": sys.executable, "TIMEFORMAT": "%1R s"}
            subprocess.run(command, cwd=folder / "nap", env=environment, check=True)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
