"""Rate of a campaign on several GPUs at once, against the same campaign on one of them.

    .venv/bin/python benchmarks/parallel.py [--gpus 8] [--blocks 2] [--rounds 1]

Measures the sleeping engine on simulated GPUs, whose queries take 1 ms each, through the real
command in temporary copies of the tree: in each round on one GPU, then on all of them, with as many
blocks for each GPU. Prints the rate of measurements from the start of the first to the end of the
last, the rate at which each set's sampler read its GPU in its windows, and how far the median
throughput of each experiment moved. Before that, as many samplers as there are GPUs run in
processes of their own, for their CPU time: of our code and of the simulated library (the median of
several runs, since one differs from the next by a third on a virtual machine).
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

from tests.integration.gpus import powered_tree  # noqa: E402
from tests.integration.workflow import CAMPAIGN, Tree  # noqa: E402
from tests.nvml_simulator import library  # noqa: E402
from tests.nvml_simulator.scenario import Gpu, Scenario, constant, with_uuid  # noqa: E402

from llm_energy.power.series_file import read_series  # noqa: E402
from llm_energy.results.result import Result, read_result  # noqa: E402

RATE_HZ = 10.0
QUERY_S = 0.001
SAMPLINGS = 5
TARGET_SHARE, TARGET_HZ, TARGET_CPU, TARGET_CHANGE = 0.9, 9.9, 0.04, 0.005
"""Rate over that of as many GPUs alone; samples per second of each set; cores for all samplers;
relative change of throughput."""

SAMPLER = """\
import sys, time
from llm_energy.power.sampler import Sampler
from llm_energy.power.sources import open_meters
meters = open_meters(cpu_model="", gpus=True, only=[sys.argv[1]], shared=True)
start_s = time.process_time()
with Sampler(meters, rate_hz=float(sys.argv[2])):
    time.sleep(float(sys.argv[3]))
print(time.process_time() - start_s)
"""


@dataclass(frozen=True)
class Measured:
    """A campaign that ran to its end."""

    command_s: float
    measuring_s: float
    """From the start of the first measurement to the end of the last."""
    delivered_hz: Sequence[float]
    """Readings per second of each measurement, in its window."""
    throughputs: Mapping[str, Sequence[float]]
    """By experiment."""

    @property
    def rate(self) -> float:
        return len(self.delivered_hz) / self.measuring_s


def machine(count: int) -> list[Gpu]:
    gpu = Gpu(knots=constant(600.0), query_s=QUERY_S, thermal_s=0.5)
    return [with_uuid(gpu, number) for number in range(1, count + 1)]


def campaign(cycles: int, experiments: int) -> dict[str, object]:
    engine = {"token_s": 0.05, "prefill_s": 0.05}
    return CAMPAIGN | {
        "cycles": cycles,
        "measurement": {
            "device": "gpu",
            "minimum_duration_s": 10.0,
            "baseline_s": 5.0,
            "warmup_cap_s": 6.0,
            "sampling_hz": RATE_HZ,
        },
        "parallel": {},
        "defaults": CAMPAIGN["defaults"] | {"engine": {"sleep": engine}},
        "experiments": {"nap": {"axes": {"output_tokens": list(range(4, 4 + experiments))}}},
    }


def measure(gpus: int, blocks: int, experiments: int, folder: Path, built: Path) -> Measured:
    """Measure `blocks` blocks on each of so many GPUs."""
    with pytest.MonkeyPatch.context() as environment:
        own = campaign(gpus * blocks, experiments)
        tree, _ = powered_tree(own, machine(gpus), folder, built, environment, apart=True)
        tree.run("inputs", check=True)
        start_s = time.monotonic()
        options = ["--cores", str(gpus), "--resources", f"gpu={gpus}"]
        tree.run("measurements", *options, check=True)
        command_s = time.monotonic() - start_s
        results = [read_result(path) for path in tree.results()]
    starts = [datetime.fromisoformat(result.started) for result in results]
    ends = [datetime.fromisoformat(result.finished) for result in results]
    throughputs = defaultdict(list)
    for result in results:
        throughputs[result.experiment].append(result.output_tokens_per_second or 0.0)
    return Measured(
        command_s,
        (max(ends) - min(starts)).total_seconds(),
        [delivered_hz(tree, result) for result in results],
        throughputs,
    )


def delivered_hz(tree: Tree, result: Result) -> float:
    """Readings per second of the GPU of a result, in its window."""
    assert result.window is not None
    series = read_series(tree.folder / "results/nap" / result.side_files["series"].path)
    window = result.window
    inside = [
        reading.monotonic_s
        for reading in series.readings
        if window.start_monotonic_s <= reading.monotonic_s <= window.end_monotonic_s
    ]
    return (len(inside) - 1) / (inside[-1] - inside[0])


def cpu_share(gpus: int, folder: Path, built: Path, duration_s: float) -> float:
    """CPU time of as many samplers as GPUs, each in a process of its own, in cores."""
    devices = machine(gpus)
    scenario = Scenario([replace(gpu, load_file=folder / gpu.uuid) for gpu in devices])
    environment = os.environ | {
        "LD_LIBRARY_PATH": str(built.parent),
        library.VARIABLE: str(scenario.write(folder / "samplers.txt")),
        "PYTHONPATH": str(ROOT / "scripts"),
    }
    samplers = [
        subprocess.Popen(
            [sys.executable, "-c", SAMPLER, gpu.uuid, str(RATE_HZ), str(duration_s)],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        for gpu in devices
    ]
    return sum(float(sampler.communicate()[0]) for sampler in samplers) / duration_s


def verdict(found: float, limit: float, *, most: bool) -> str:
    return "met" if (found <= limit if most else found >= limit) else "MISSED"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--gpus", type=int, default=8)
    parser.add_argument("--blocks", type=int, default=2, help="for each GPU")
    parser.add_argument("--experiments", type=int, default=4, help="in each block")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--sampling", type=float, default=60.0, help="for the CPU time, s")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        built = library.build(folder)
        print(f"load of this machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        runs = range(SAMPLINGS)
        cpu = statistics.median(
            cpu_share(given.gpus, folder, built, given.sampling / SAMPLINGS) for _ in runs
        )
        print(
            f"{given.gpus} samplers at {RATE_HZ:g} Hz: {cpu:.2%} of a core "
            f"(at most {TARGET_CPU:.0%}: {verdict(cpu, TARGET_CPU, most=True)})"
        )
        for turn in range(given.rounds):
            found = {}
            for gpus in (1, given.gpus):
                place = folder / f"{turn}-{gpus}"
                place.mkdir()
                found[gpus] = measure(gpus, given.blocks, given.experiments, place, built)
                print(
                    f"{gpus} GPUs: {len(found[gpus].delivered_hz)} measurements in "
                    f"{found[gpus].measuring_s:.1f} s, the command took "
                    f"{found[gpus].command_s:.1f} s, load {os.getloadavg()[0]:.1f}"
                )
            compare(found[1], found[given.gpus], given.gpus)


def compare(one: Measured, many: Measured, gpus: int) -> None:
    target = TARGET_SHARE * gpus
    gain = many.rate / one.rate
    print(f"rate: {gain:.2f}x (at least {target:.1f}x: {verdict(gain, target, most=False)})")
    least = min(many.delivered_hz)
    print(
        f"delivered: {least:.2f} Hz or more by each set, median "
        f"{statistics.median(many.delivered_hz):.2f} Hz (alone {min(one.delivered_hz):.2f} Hz; at "
        f"least {TARGET_HZ:g} Hz: {verdict(least, TARGET_HZ, most=False)})"
    )
    changes = [
        statistics.median(many.throughputs[name]) / statistics.median(alone) - 1.0
        for name, alone in one.throughputs.items()
    ]
    most = max(changes, key=abs)
    print(
        f"median throughput of an experiment changed by {most:+.2%} at most (limit "
        f"±{TARGET_CHANGE:.1%}: {verdict(abs(most), TARGET_CHANGE, most=True)})"
    )


if __name__ == "__main__":
    main()
