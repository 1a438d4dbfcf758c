"""Power limits as factors: what the workflow finds where the truth is known, and faults in between.

    .venv/bin/python benchmarks/power_limits.py [--cycles 3] [--faults 40]

Four limits x two batch sizes are measured through the real command on a simulated GPU, whose clock
falls until a limit holds; with it falls the share of each step that computes. So energy per token
and throughput are known for every limit. Printed are truth and what was found, whether the truth
lies in the interval, and the knee. Then an owner of a limit meets a random fault, again and again:
it is killed between record and change, others change the limit, the driver is loaded anew, and
more. Exit code 1 where a knee is wrong, the truth lies outside of an interval, or the GPU is
afterwards not as it must be.
"""

import argparse
import json
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

from tests.integration.gpus import powered_tree  # noqa: E402
from tests.integration.test_energy import CAMPAIGN_ON_GPUS  # noqa: E402
from tests.llm_energy.power.gpu_faults import FAULTS, Machine  # noqa: E402
from tests.nvml_simulator.library import build  # noqa: E402
from tests.nvml_simulator.powered import slowdown  # noqa: E402
from tests.nvml_simulator.scenario import Gpu, constant, settings_of  # noqa: E402

from llm_energy.analysis.limit_effects import KNEE_LOSS, Effect, knee, limit_effects  # noqa: E402
from llm_energy.analysis.summary import Findings  # noqa: E402

IDLE_WATTS, FULL_WATTS, DEFAULT_WATTS = 100.0, 650.0, 700.0
LEVELS = (1.0, 0.85, 0.7, 0.5)
COMPUTES = {1: 0.05, 4: 0.5}
"""Batch size -> share of each step that slows down with the clock."""
ENERGY, SPEED = "joules_per_output_token", "output_tokens_per_second"


def truth(level: float, batch: int) -> dict[str, float]:
    """Ratio of energy per token and of throughput at a level to those at the highest."""
    limit_watts = level * DEFAULT_WATTS
    slower = slowdown(COMPUTES[batch], limit_watts, IDLE_WATTS, FULL_WATTS)
    return {ENERGY: slower * min(limit_watts, FULL_WATTS) / FULL_WATTS, SPEED: 1.0 / slower}


def true_knee(batch: int) -> float:
    return min(level for level in LEVELS if truth(level, batch)[SPEED] >= 1.0 - KNEE_LOSS)


def campaign(cycles: int) -> dict[str, object]:
    axes = {"batch_size": list(COMPUTES), "gpu.power_limit_watts.of_default": list(LEVELS)}
    timing = {"baseline_s": 0.5, "warmup_cap_s": 3.0, "tail_s": 0.5}
    return CAMPAIGN_ON_GPUS | {
        "cycles": cycles,
        "measurement": CAMPAIGN_ON_GPUS["measurement"] | timing,
        "experiments": {"nap": {"axes": axes}},
    }


def measured(folder: Path, library: Path, cycles: int) -> tuple[Findings, bool]:
    """Measure the campaign; returns what it found, and whether the GPU is as it was."""
    folder.mkdir()
    gpu = Gpu(
        idle_watts=IDLE_WATTS,
        knots=constant(FULL_WATTS),
        counter_update_s=0.0,
        thermal_s=0.5,
        settings_file=folder / "settings",
        load_file=folder / "load",
        process_file=folder / "load.processes",
    )
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("GPU_CONTROL_RECORDS", str(folder / "records"))
        settings = f"{gpu.settings_file} {IDLE_WATTS} {FULL_WATTS}"
        environment.setenv("NVML_SIMULATOR_SETTINGS", settings)
        shares = ",".join(f"{batch}:{share}" for batch, share in COMPUTES.items())
        environment.setenv("NVML_SIMULATOR_COMPUTES", shares)
        tree, _ = powered_tree(campaign(cycles), [gpu], folder, library, environment)
        tree.run(check=True)
    summary = tree.folder / "results/nap/summary/summary.json"
    restored = settings_of(gpu, 0.0)[-1][1] == DEFAULT_WATTS
    restored = restored and not list((folder / "records").glob("*.json"))
    return Findings.model_validate(json.loads(summary.read_text())), restored


def batch_of(base: str) -> int:
    (batch,) = [batch for batch in COMPUTES if f"batch{batch}_" in base]
    return batch


def sweep(folder: Path, library: Path, cycles: int) -> int:
    """Measure the campaign and print what was found; returns the number of errors."""
    findings, restored = measured(folder, library, cycles)
    found = limit_effects(findings.axis_comparisons)
    assert len(found) == len(COMPUTES)
    errors = 0
    print(f"{'batch':>5} {'limit':>6} {'metric':>24} {'truth':>8} {'found':>8}  interval")
    for (_, base), effects in found.items():
        batch = batch_of(base)
        for effect in effects:
            errors += outside(effect, truth(effect.level, batch), batch)
        at = knee(effects)
        level = 1.0 if at is None else at.level
        print(f"batch {batch}: knee found at {level:.0%}, truth {true_knee(batch):.0%}")
        errors += level != true_knee(batch)
    print(f"afterwards the GPU was {'as it was found' if restored else 'NOT as it was found'}")
    return errors + (not restored)


def outside(effect: Effect, expected: Mapping[str, float], batch: int) -> int:
    """Print a level; returns the number of metrics whose interval lacks the truth."""
    missed = 0
    for metric, ratio in expected.items():
        one = effect.changes[metric]
        low, high = one.simultaneous_low, one.simultaneous_high
        assert low is not None
        assert high is not None
        inside = low <= ratio <= high
        missed += not inside
        print(
            f"{batch:5} {effect.level:6.0%} {metric:>24} {ratio:8.4f} {one.ratio:8.4f}  "
            f"{low:.4f} to {high:.4f}{'' if inside else '  MISSED'}"
        )
    return missed


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
    parser.add_argument("--cycles", type=int, default=3, help="0: no sweep; otherwise 2 or more")
    parser.add_argument("--faults", type=int, default=40)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="power-limits-") as name:
        folder = Path(name)
        (folder / "library").mkdir()
        library = build(folder / "library")
        bad = sweep(folder / "sweep", library, arguments.cycles) if arguments.cycles else 0
        bad += faults(folder, library, arguments.faults) if arguments.faults else 0
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
