"""Make a simulated GPU with stand-ins for its load and nvidia-smi, for `run.sh --rehearse`.

    python -m tests.gpu.rehearsal FOLDER PYTHON

PYTHON is the engine's interpreter; a stand-in of it is made.

Runs in the copy of the tree, whose PyTorch adapter it changes: the engine loads onto the CPU, and
drives the simulated GPU while it works. Needs a C compiler. Prints the environment variables
that the simulation needs, one `NAME=value` a line.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.nvml_simulator import library, matmul, nvidia_smi
from tests.nvml_simulator.scenario import Gpu, Scenario, noise, set_load

ADAPTER = '''

from dataclasses import replace

from worker.powered import powered


class OnCpu(PyTorch):
    """Loads onto the CPU what the campaign has on a GPU."""

    def load(self, config: EngineConfig) -> dict[str, Any]:
        return super().load(replace(config, options={**config.options, "device": "cpu"}))


ENGINE = powered(OnCpu)
'''

INSTALL = """
import sys
from pathlib import Path
from tests.nvml_simulator.matmul import install
install(Path(sys.argv[1]))
"""


def end_load() -> None:
    """Let a simulated GPU rest, whatever an interrupted engine left it at."""
    if load := os.environ.get("NVML_SIMULATOR_LOAD"):
        set_load(Path(load), 0.0)
        Path(f"{load}.processes").unlink(missing_ok=True)


def main(folder: Path, python: str) -> None:
    folder.mkdir()
    load = folder / "load"
    gpu = Gpu(
        uuid=f"GPU-{os.getpid():08x}-0000-0000-0000-000000000001",
        knots=noise(mean=600.0, deviation=1.0, period_s=60.0, step_s=0.1, seed=1),
        period_s=60.0,
        counter_update_s=0.01,
        thermal_s=0.5,
        load_file=load,
        process_file=Path(f"{load}.processes"),
    )
    scenario = Scenario([gpu]).write(folder / "scenario.txt")
    library.build(folder)
    tools = folder / "bin"
    subprocess.run([python, "-c", INSTALL, str(tools)], check=True)  # it stands in for that one
    nvidia_smi.install(tools)
    shutil.copy2(Path(matmul.__file__).parent / "powered.py", "scripts/worker")
    with Path("scripts/worker/engines/pytorch.py").open("a") as adapter:
        adapter.write(ADAPTER)
    print(f"LD_LIBRARY_PATH={folder}")
    print(f"NVML_SIMULATOR_LOAD={load}")
    print(f"{library.VARIABLE}={scenario}")
    print(f"PATH={tools}:{os.environ['PATH']}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
