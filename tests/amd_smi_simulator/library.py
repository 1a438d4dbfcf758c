"""Builds the simulated library of AMD SMI; the real binding loads it."""

import re
import subprocess
from importlib.util import find_spec
from pathlib import Path

SOURCES = Path(__file__).parent
POWER_MODEL = SOURCES.parent / "nvml_simulator"
NAME = "libamd_smi.so"
VARIABLE = "AMD_SMI_SIMULATOR_SCENARIO"
"""Environment variable that names the scenario file."""


def build(folder: Path) -> Path:
    """Compile the library into `folder`; whoever has that in LD_LIBRARY_PATH gets it as AMD SMI."""
    others = folder / "others.c"
    others.write_text("".join(map(not_supported, looked_up())))
    library = folder / NAME
    command = ["cc", "-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror"]
    command += ["-Wno-missing-field-initializers", f"-Wl,-soname,{NAME}", "-o", str(library)]
    sources = [SOURCES / "amd_smi.c", POWER_MODEL / "scenario.c", POWER_MODEL / "sensors.c", others]
    subprocess.run([*command, *map(str, sources), "-lm", "-lpthread"], check=True)
    return library


def looked_up() -> list[str]:
    """Return the functions that the binding looks up when it is imported."""
    package = find_spec("amdsmi")
    assert package is not None, "amdsmi is not installed: make setup-tests"
    assert package.origin is not None
    binding = Path(package.origin).with_name("amdsmi_wrapper.py").read_text()
    return sorted(set(re.findall(r"_libraries\['libamd_smi\.so'\]\.(\w+)", binding)))


def not_supported(function: str) -> str:
    return f"int {function}(void); __attribute__((weak)) int {function}(void) {{ return 2; }}\n"
