"""Trees whose engine drives simulated GPUs."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from tests.integration.workflow import ROOT, Tree
from tests.nvml_simulator.library import VARIABLE
from tests.nvml_simulator.scenario import Gpu, Scenario

POWERED = "\nfrom worker.powered import powered\n\nENGINE = powered(ENGINE)\n"


def with_load_of_its_own(gpu: Gpu, folder: Path) -> Gpu:
    """The GPU, driven by the engine that sees it alone."""
    load = folder / f"load-{gpu.uuid}"
    files = {name: Path(f"{load}.{name.partition('_')[0]}") for name in ("lost_file", "hangs_file")}
    return replace(gpu, load_file=load, process_file=Path(f"{load}.processes"), **files)


def powered_tree(
    campaign: Mapping[str, Any],
    gpus: Sequence[Gpu],
    folder: Path,
    library: Path,
    environment: pytest.MonkeyPatch,
    *,
    apart: bool = False,
    variable: str = VARIABLE,
) -> tuple[Tree, Scenario]:
    """A tree in which nothing was measured, and the truth about the GPUs that its engine drives.

    The load file of the GPUs is `folder`/load; where they are `apart`, each has its own. Their
    identities are of this tree alone: on one host the measurements of a GPU wait for each other,
    and those of tests side by side need not.

    Args:
        variable: environment variable by which `library` finds its scenario.
    """
    tree = Tree.create(folder / "tree", dict(campaign))
    shutil.copy2(ROOT / "tests/nvml_simulator/powered.py", tree.folder / "scripts/worker")
    with (tree.folder / "scripts/worker/engines/sleep.py").open("a") as adapter:
        adapter.write(POWERED)
    own = f"GPU-{crc32(str(folder).encode()):08x}"
    gpus = [replace(gpu, uuid=own + gpu.uuid[len(own) :]) for gpu in gpus]
    if apart:
        gpus = [with_load_of_its_own(gpu, folder) for gpu in gpus]
        environment.setenv("NVML_SIMULATOR_UUIDS", ",".join(gpu.uuid for gpu in gpus))
    truth = Scenario(gpus)
    environment.setenv("LD_LIBRARY_PATH", str(library.parent))
    environment.setenv("NVML_SIMULATOR_LOAD", str(folder / "load"))
    environment.setenv(variable, str(truth.write(folder / "scenario.txt")))
    return tree, truth
