"""The acceptance kit: `make test-gpu PYTHON=... [MODEL=...]` runs it from the checkout's root.

Exit codes: 0 every line passed, 1 a line failed, 2 it could not be begun.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from llm_energy.power.nvml import NvmlMeter
from llm_energy.power.series_file import write_series
from llm_energy.preflight.gpus import NoGpuError, read_gpus
from llm_energy.system.files import write_atomically
from llm_energy.validation import gpu_campaign, gpu_sensors
from llm_energy.validation.gpu_load import LoadError
from llm_energy.validation.kit_lines import Line, Tell, failed
from llm_energy.validation.kit_physics import physics_lines
from llm_energy.validation.sensor_checks import sensor_lines

MODEL = "Qwen/Qwen3-0.6B"
"""Small, and under Apache-2.0; fetched from the hub unless another one is named."""


def arguments(given: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make test-gpu", description="Try the GPUs.")
    parser.add_argument("--python", default="", help="interpreter with torch and transformers")
    parser.add_argument("--model", default="", help=f"folder or hub repository (default {MODEL})")
    parser.add_argument("--quick", action="store_true", help="in a minute, to try the kit itself")
    return parser.parse_args(given)


def main(given: Sequence[str]) -> int:
    asked = arguments(given)
    if not asked.python:
        print("make test-gpu PYTHON=/path/to/python: name an interpreter that has torch and")
        print("transformers; it is used as it is, and nothing is installed into it")
        return 2
    try:
        read_gpus()
    except NoGpuError as error:
        print(f"make test-gpu: {error}")
        return 2
    name = f"gpu-acceptance-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    folder = Path("results", name, "acceptance")
    folder.mkdir(parents=True)
    lines: list[Line] = []

    def tell(line: Line) -> None:
        lines.append(line)
        print(line, flush=True)

    timing = gpu_sensors.QUICK if asked.quick else gpu_sensors.Timing()
    try_sensors(asked.python, timing, folder, tell)
    size = gpu_campaign.QUICK if asked.quick else gpu_campaign.Size()
    try_campaign(name, asked.python, asked.model or MODEL, size, folder, tell)
    return conclude(lines, folder, print)


def try_sensors(python: str, timing: gpu_sensors.Timing, folder: Path, tell: Tell) -> None:
    """Watch each GPU in its turn, and keep what was read."""
    meter = NvmlMeter.open()
    assert meter is not None
    try:
        for device in meter.devices:
            print(f"\n{device.id}: at rest for {timing.idle_s:g} s, then ", end="")
            print(f"under load for {timing.warm_s + timing.loaded_s:g} s", flush=True)
            try:
                seen = gpu_sensors.watch(meter, device, python=python, timing=timing)
            except LoadError as error:
                tell(Line("FAIL", "load", f"{device.id}: {error}"))
                continue
            for kind, series in (("idle", seen.idle), ("loaded", seen.loaded)):
                write_series(folder, f"{device.id}-{kind}.parquet", series)
            for line in sensor_lines(seen, timing.windows_s):
                tell(line)
    finally:
        meter.close()


def try_campaign(
    name: str, python: str, model: str, size: gpu_campaign.Size, folder: Path, tell: Tell
) -> None:
    """Measure a small campaign and check what came of it."""
    print(f"\ncampaign {name}: some minutes, output in {folder / 'snakemake.log'}", flush=True)
    config, line = gpu_campaign.prepared(
        name, python=python, model=model, size=size, log=folder / "inputs.log"
    )
    tell(line)
    if config is None:
        return
    for line in gpu_campaign.run_campaign(config, folder):
        tell(line)
    for line in physics_lines(gpu_campaign.results_of(name)):
        tell(line)


def conclude(lines: Sequence[Line], folder: Path, say: Callable[[str], None]) -> int:
    """Keep the lines, and say how it ended."""
    write_atomically(folder / "lines.txt", "".join(f"{line}\n" for line in lines).encode())
    content = json.dumps([asdict(line) for line in lines], indent=1)
    write_atomically(folder / "lines.json", content.encode() + b"\n")
    bad, passed = failed(lines), sum(line.verdict == "PASS" for line in lines)
    say(f"\n{passed} passed, {len(bad)} failed; to be sent back: {folder.parent}")
    for line in bad:
        say(str(line))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
