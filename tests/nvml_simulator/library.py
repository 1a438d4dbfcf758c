"""Builds the simulated NVML library, and loads it in place of the real one."""

import ctypes
import subprocess
from pathlib import Path

SOURCES = Path(__file__).parent
NAME = "libnvidia-ml.so.1"
VARIABLE = "NVML_SIMULATOR_SCENARIO"
"""Environment variable that names the scenario file."""


def build(folder: Path) -> Path:
    """Compile the library into `folder`; whoever has that in LD_LIBRARY_PATH gets it as NVML."""
    library = folder / NAME
    command = ["cc", "-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror"]
    command += ["-Wno-missing-field-initializers", f"-Wl,-soname,{NAME}", "-o", str(library)]
    command += [*map(str, sorted(SOURCES.glob("*.c"))), "-lm", "-lpthread"]
    subprocess.run(command, check=True)
    return library


def preload(library: Path) -> None:
    """Load it into this process: whoever asks for NVML from now on gets this one by its name."""
    ctypes.CDLL(str(library))
