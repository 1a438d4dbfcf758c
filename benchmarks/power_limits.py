"""Limits of GPUs that meet faults: is the GPU as it must be afterwards?

    .venv/bin/python benchmarks/power_limits.py [--faults 40]

An owner of a power limit on a simulated GPU meets a random fault, again and again: it is killed
between record and change, others change the limit, the driver is loaded anew, and more. Printed is
how often each was met. Exit code 1 where the GPU is not as it must be.
"""

import argparse
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

from tests.llm_energy.power.gpu_faults import FAULTS, Machine  # noqa: E402
from tests.nvml_simulator.library import build  # noqa: E402


def faults(folder: Path, library: Path, count: int) -> int:
    """Let an owner of a limit meet random faults; returns how often the GPU was not as it must."""
    bad, met, chance = 0, Counter[str](), random.Random(18)
    order = [*FAULTS, *chance.choices(list(FAULTS), k=max(0, count - len(FAULTS)))][:count]
    for number, name in enumerate(chance.sample(order, len(order))):
        own = folder / f"trial-{number}"
        own.mkdir()
        with pytest.MonkeyPatch.context() as environment:
            machine = Machine(own, environment, library)
            try:
                FAULTS[name](machine)
                met[name] += 1
            except AssertionError as error:
                bad += 1
                print(f"trial {number}, {name}: {error}")
            finally:
                machine.end()
    for name in FAULTS:
        print(f"{met[name]:4} x {name}")
    print(f"{len(order)} faults, {bad} after which the GPU was not as it must be")
    return bad


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faults", type=int, default=40)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="power-limits-") as name:
        folder = Path(name)
        (folder / "library").mkdir()
        library = build(folder / "library")
        bad = faults(folder, library, arguments.faults)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
