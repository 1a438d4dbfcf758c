"""Delivered rate and cost of sampling, and its effect on a measured engine.

    .venv/bin/python benchmarks/sampler.py [--simulate 1] [--pairs 20] [--python P --model M]

First the rates: requested and delivered, how far readings lie from their deadlines, and the CPU
time of the sampling process. Then a real engine (llama.cpp, one thread) in its own process, with
the sampler on and off in turns; which of the two comes first is drawn for each pair. Interpreter
and model of the engine are those that `make run` prepared, unless they are given.

Without sensors the NVML library is simulated, with `--query-ms` for each query as a stand-in for
what a driver takes; such costs are ours without the driver's.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

from tests.nvml_simulator import library, scenario  # noqa: E402

from llm_energy.power.meter import Meter  # noqa: E402
from llm_energy.power.sampler import Sampler  # noqa: E402
from llm_energy.power.sources import open_meters  # noqa: E402
from llm_energy.stats.paired_ratios import paired_ratio  # noqa: E402
from llm_energy.system.host import cpu_model  # noqa: E402

RATES_HZ = (1.0, 10.0, 50.0, 100.0)
HEAD = """\
requested  delivered    late by: median   99 %   most     one read      CPU time
       Hz         Hz                 ms     ms     ms           ms     of 1 core"""


def simulate(folder: Path, gpus: int, query_s: float) -> None:
    """Have simulated GPUs from now on, in this process."""
    gpu = scenario.Gpu(knots=scenario.constant(600.0), query_s=query_s)
    machine = scenario.Scenario([scenario.with_uuid(gpu, n) for n in range(gpus)])
    os.environ[library.VARIABLE] = str(machine.write(folder / "scenario.txt"))
    library.preload(library.build(folder))


def rate_line(meters: tuple[Meter, ...], rate_hz: float, duration_s: float) -> str:
    sampler = Sampler(meters, rate_hz=rate_hz)
    cpu_s, start_s = time.process_time(), time.monotonic()
    with sampler:
        time.sleep(duration_s)
    wall_s, cpu_s = time.monotonic() - start_s, time.process_time() - cpu_s
    series = sampler.series()
    first = series.by_device[series.devices[0].id]
    times = [reading.monotonic_s for reading in first[1:-1]]
    delivered_hz = (len(times) - 1) / (times[-1] - times[0])
    # The first reading may be late itself, so that lateness counts from the median phase.
    phases_s = [(t - times[0]) - round((t - times[0]) * rate_hz) / rate_hz for t in times]
    late_s = [phase_s - median(phases_s) for phase_s in phases_s]
    ordered = sorted(abs(late) for late in late_s)
    return (
        f"{rate_hz:9.0f}{delivered_hz:11.2f}{1e3 * median(ordered):19.2f}"
        f"{1e3 * ordered[int(0.99 * (len(ordered) - 1))]:7.2f}{1e3 * ordered[-1]:7.2f}"
        f"{1e3 * median(r.read_s for r in first):13.2f}{cpu_s / wall_s:14.2%}"
    )


class Engine:
    """The engine's process and the waves it has told so far."""

    def __init__(self, python: str, model: str) -> None:
        command = [python, str(ROOT / "benchmarks" / "engine_load.py"), model]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self._waves: list[tuple[float, float, float]] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            start, end, tokens = map(float, line.split())
            self._waves.append((start, end, tokens))

    def wait_until_warm(self, waves: int) -> None:
        while len(self._waves) < waves:
            if self._process.poll() is not None:
                sys.exit("the engine ended; is its environment complete?")
            time.sleep(0.1)

    def throughput(self, start_s: float, end_s: float) -> float:
        """Tokens per second of the waves that lie wholly inside [start, end]."""
        inside = [wave for wave in self._waves if wave[0] >= start_s and wave[1] <= end_s]
        if not inside:
            sys.exit("no wave fits into a stretch: ask for a longer --stretch")
        return sum(wave[2] for wave in inside) / sum(wave[1] - wave[0] for wave in inside)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


def stretch(engine: Engine, sampler: Sampler | None, duration_s: float) -> float:
    """Throughput over a stretch, with the sampler or without."""
    if sampler is not None:
        sampler.start()
    start_s = time.monotonic()
    time.sleep(duration_s)
    found = engine.throughput(start_s, time.monotonic())
    if sampler is not None:
        sampler.stop()
    return found


def effect_line(
    engine: Engine, meters: tuple[Meter, ...], rate_hz: float, *, pairs: int, stretch_s: float
) -> str:
    chance = random.Random(2026)
    off, on = {}, {}
    for pair in range(pairs):
        for with_sampler in chance.sample([False, True], 2):
            sampler = Sampler(meters, rate_hz=rate_hz) if with_sampler else None
            (on if with_sampler else off)[pair] = stretch(engine, sampler, stretch_s)
    compared = paired_ratio(off, on)
    assert compared is not None
    interval = compared.interval()
    limits = "" if interval is None else f" (95 % {interval.low:.4f} to {interval.high:.4f})"
    return f"{rate_hz:9.0f} Hz: throughput on / off {compared.ratio:.4f}{limits}, {pairs} pairs"


def prepared(kind: str, key: str) -> str | None:
    """A path from the first marker of that kind that `make run` left, None where there is none.

    Models in other formats and environments in images lie beside those that are meant.
    """
    pattern = "environments/llamacpp-*" if kind == "environment" else "models/*"
    for marker in sorted((ROOT / ".cache").glob(f"{pattern}/ready.json")):
        path = marker.parent / str(json.loads(marker.read_text()).get(key, "absent"))
        if path.is_file() and (kind == "environment" or path.suffix == ".gguf"):
            return str(path)
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--simulate", type=int, metavar="GPUS", help="use simulated GPUs")
    parser.add_argument("--query-ms", type=float, default=1.0, help="of simulated queries")
    parser.add_argument("--duration", type=float, default=10.0, help="of each rate, s")
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--stretch", type=float, default=2.0, help="each half of a pair, s")
    parser.add_argument("--python", default=prepared("environment", "python"))
    parser.add_argument("--model", default=prepared("model", "path"))
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if asked.simulate:
            simulate(Path(folder), asked.simulate, asked.query_ms / 1e3)
        meters = open_meters(cpu_model=cpu_model(), gpus=True)
        devices = [device for meter in meters for device in meter.devices]
        if not devices:
            sys.exit("no sensor on this machine: ask for --simulate GPUS")
        print(*(f"{d.id}: {d.model}{' (simulated)' * d.simulated}" for d in devices), sep="\n")
        print(HEAD)
        for rate_hz in RATES_HZ:
            print(rate_line(meters, rate_hz, asked.duration))
        if not (asked.python and asked.model):
            sys.exit("no engine prepared: run `make run` first, or give --python and --model")
        engine = Engine(asked.python, asked.model)
        try:
            engine.wait_until_warm(5)
            for rate_hz in (10.0, 100.0):
                print(
                    effect_line(engine, meters, rate_hz, pairs=asked.pairs, stretch_s=asked.stretch)
                )
        finally:
            engine.close()
            for meter in meters:
                meter.close()


if __name__ == "__main__":
    main()
