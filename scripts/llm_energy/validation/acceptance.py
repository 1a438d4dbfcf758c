"""The acceptance kit: `make test-gpu PYTHON=... [MODEL=...]` runs it from the checkout's root.

Exit codes: 0 every line passed, 1 a line failed, 2 it could not be begun.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

from llm_energy.power.nvml import NvmlMeter
from llm_energy.power.series_file import write_series
from llm_energy.preflight.gpus import NoGpuError, read_gpus
from llm_energy.system.files import write_atomically
from llm_energy.validation import gpu_campaign, gpu_sensors
from llm_energy.validation.kit_lines import Line
from llm_energy.validation.kit_physics import physics_lines
from llm_energy.validation.sensor_checks import sensor_lines

MODEL = "Qwen/Qwen3-0.6B"
"""Small, and under Apache-2.0; fetched from the hub unless another one is named."""


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="make test-gpu", description="Try the GPUs.")
    parser.add_argument("--python", default="", help="interpreter with torch and transformers")
    parser.add_argument("--model", default="", help=f"folder or hub repository (default {MODEL})")
    parser.add_argument("--quick", action="store_true", help="in a minute, to try the kit itself")
    given = parser.parse_args(arguments)
    if not given.python:
        print("make test-gpu PYTHON=/path/to/python: name an interpreter that has torch and")
        print("transformers; it is used as it is, and nothing is installed into it")
        return 2
    try:
        if any(gpu.is_amd for gpu in read_gpus()):
            print("make test-gpu: it tries GPUs of NVIDIA; for AMD's see docs/amd-gpus.md")
            return 2
    except NoGpuError as error:
        print(f"make test-gpu: {error}")
        return 2
    name = f"gpu-acceptance-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    folder = Path("results", name, "acceptance")
    folder.mkdir(parents=True)
    timing = gpu_sensors.QUICK if given.quick else gpu_sensors.Timing()
    size = gpu_campaign.QUICK if given.quick else gpu_campaign.Size()
    lines: list[Line] = []
    for line in chain(
        try_sensors(given.python, timing, folder),
        try_campaign(name, given.python, given.model or MODEL, size, folder),
    ):
        lines.append(line)
        print(line, flush=True)
    return conclude(lines, folder)


def try_sensors(python: str, timing: gpu_sensors.Timing, folder: Path) -> Iterator[Line]:
    """Watch each GPU in its turn, and keep what was read."""
    meter = NvmlMeter.connect()
    try:
        for device in meter.devices:
            print(f"\n{device.id}: at rest for {timing.idle_s:g} s, then ", end="")
            print(f"under load for {timing.warm_s + timing.loaded_s:g} s", flush=True)
            try:
                seen = gpu_sensors.watch(meter, device, python=python, timing=timing)
            except gpu_sensors.LoadError as error:
                yield Line("FAIL", "load", f"{device.id}: {error}")
                continue
            for kind, sensor in (("idle", seen.idle), ("loaded", seen.loaded)):
                write_series(folder, f"{device.id}-{kind}.parquet", sensor.series)
            yield from sensor_lines(seen, timing.windows_s)
    finally:
        meter.close()


def try_campaign(
    name: str, python: str, model: str, size: gpu_campaign.Size, folder: Path
) -> Iterator[Line]:
    """Measure a small campaign and check its results."""
    print(f"\ncampaign {name}: some minutes, output in {folder / 'snakemake.log'}", flush=True)
    config, line = gpu_campaign.prepared(
        name, python=python, model=model, size=size, log=folder / "inputs.log"
    )
    yield line
    if config is not None:
        yield from gpu_campaign.run_campaign(config, folder)
        yield from physics_lines(gpu_campaign.results_of(name))


def conclude(lines: Sequence[Line], folder: Path) -> int:
    """Keep the lines, print those that failed, and return the exit code."""
    write_atomically(folder / "lines.txt", "".join(f"{line}\n" for line in lines).encode())
    content = json.dumps([asdict(line) for line in lines], indent=1)
    write_atomically(folder / "lines.json", content.encode() + b"\n")
    bad = [line for line in lines if line.verdict == "FAIL"]
    passed = sum(line.verdict == "PASS" for line in lines)
    print(f"\n{passed} passed, {len(bad)} failed; to be sent back: {folder.parent}")
    print(*bad, sep="\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
