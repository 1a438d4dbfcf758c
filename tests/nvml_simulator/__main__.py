"""Makes a folder in which a campaign can be measured on simulated GPUs by hand.

    .venv/bin/python -m tests.nvml_simulator FOLDER [--gpus 2] [--limits]

It gets the simulated library, a scenario, a copy of the workflow with the sleeping engine, which
drives the GPUs, a campaign file, and `environment.sh`, which names all of that. Needs a C compiler.
"""

import argparse
import os
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from tests.integration.gpus import powered_tree
from tests.integration.workflow import CAMPAIGN, SNAKEMAKE
from tests.nvml_simulator.library import build
from tests.nvml_simulator.scenario import Gpu, constant, with_uuid

VARIABLES = (
    *("LD_LIBRARY_PATH", "NVML_SIMULATOR_LOAD", "NVML_SIMULATOR_UUIDS", "NVML_SIMULATOR_SCENARIO"),
    "GPU_CONTROL_RECORDS",
)

SIMULATED = CAMPAIGN | {
    "campaign": "simulated",
    "measurement": {"device": "gpu", "minimum_duration_s": 10, "baseline_s": 1, "warmup_cap_s": 2},
    "defaults": CAMPAIGN["defaults"] | {"engine": {"sleep": {"token_s": 0.05, "prefill_s": 0.05}}},
}
"""Two experiments."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.nvml_simulator", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--gpus", type=int, default=2)
    parser.add_argument("--limits", action="store_true", help="vary their power limit, as root")
    given = parser.parse_args()
    folder = given.folder.absolute()
    folder.mkdir(parents=True)
    board = Gpu(knots=constant(600.0), counter_update_s=0.0, thermal_s=0.5)
    gpus = [with_uuid(board, number) for number in range(1, given.gpus + 1)]
    own = SIMULATED | {"cycles": max(2, given.gpus), "parallel": {}}  # each GPU has a cycle
    if given.limits:
        gpus = [replace(gpu, settings_file=folder / f"settings-{n}") for n, gpu in enumerate(gpus)]
        own |= {"experiments": {"nap": {"axes": {"gpu.power_limit_watts.of_default": [1, 0.5]}}}}
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("GPU_CONTROL_RECORDS", str(folder / "records"))
        tree, truth = powered_tree(own, gpus, folder, build(folder), environment, apart=True)
        lines = [f"export {name}={shlex.quote(os.environ[name])}" for name in VARIABLES]
    (folder / "environment.sh").write_text("\n".join(lines) + "\n")
    at_once = ["--cores", str(given.gpus), "--resources", f"gpu={given.gpus}"]
    command = [SNAKEMAKE[0], *at_once, "--profile", "workflow-profile"]
    print(f"cd {shlex.quote(str(tree.folder))} && . ../environment.sh")
    print(shlex.join([*command, "--configfile", "config/nap.yaml"]))
    for gpu in truth.gpus:
        print(f"touch {shlex.quote(str(gpu.lost_file))}  # {gpu.uuid} falls off the bus")


if __name__ == "__main__":
    main()
