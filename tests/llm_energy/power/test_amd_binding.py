"""AMD's binding: found, not found, and found with another library than it was made for."""

import ctypes
import os
import subprocess
import sys

import pytest
from tests.amd_smi_simulator.scenario import AmdGpu

from llm_energy.power.amd_binding import AmdSmiError, connected, number

CONNECT = """
import sys
sys.modules.update({name: None for name in sys.argv[1:]})
from llm_energy.power.amd_binding import AmdSmiError, connected
try:
    connected()
except AmdSmiError as error:
    print(error)
"""


def refusal(*without, **environment):
    """Return the output of a process of its own."""
    variables = {k: v for k, v in os.environ.items() if not k.startswith("ROCM_")}
    ran = subprocess.run(
        [sys.executable, "-c", CONNECT, *without],
        env=variables | {"PYTHONPATH": os.pathsep.join(sys.path)} | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return ran.stdout


def test_without_the_package_the_remedy_is_named():
    assert refusal("amdsmi") == (
        "AMD GPUs need a package: .venv/bin/pip install amdsmi==7.0.2 (docs/amd-gpus.md)\n"
    )


def test_without_rocm_it_is_one_line_and_what_the_package_prints_is_not_seen():
    (line,) = refusal().splitlines()
    assert line.startswith("amdsmi finds no libamd_smi.so that it fits (KeyError")


def test_a_library_that_lacks_functions_is_one_line(tmp_path):
    library = tmp_path / "lib/libamd_smi.so"
    library.parent.mkdir()
    source = tmp_path / "old.c"
    source.write_text("int amdsmi_free_name_value_pairs(void *pairs) { return pairs != 0; }\n")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    (line,) = refusal(ROCM_HOME=str(tmp_path)).splitlines()
    assert line.startswith("amdsmi finds no libamd_smi.so that it fits (AttributeError")


def test_a_driver_that_is_not_loaded_is_one_line(amd_library):
    (line,) = refusal(ROCM_HOME="/none", LD_LIBRARY_PATH=str(amd_library.parent)).splitlines()
    assert "AMD SMI does not start" in line
    assert "Driver not loaded" in line


def test_a_library_of_another_major_version_is_refused(simulate_amd, monkeypatch):
    simulate_amd(AmdGpu())
    monkeypatch.setenv("AMD_SMI_SIMULATOR_MAJOR", "27")
    with pytest.raises(AmdSmiError, match=r"amdsmi 7\.0\.2 does not fit libamd_smi\.so 27"):
        connected()
    monkeypatch.delenv("AMD_SMI_SIMULATOR_MAJOR")
    connected().amdsmi_shut_down()


def test_the_simulated_library_has_the_layout_of_the_binding(simulate_amd):
    """Sizes that the simulator's own source asserts."""
    simulate_amd(AmdGpu())
    smi = connected()
    binding = smi.amdsmi_interface.amdsmi_wrapper
    sizes = {
        "version": 24,
        "power_cap_info": 64,
        "power_info": 192,
        "clk_info": 32,
        "engine_usage": 64,
        "asic_info": 896,
        "driver_info": 768,
        "proc_info": 704,
        "gpu_metrics": 4544,
    }
    found = {name: ctypes.sizeof(getattr(binding, f"amdsmi_{name}_t")) for name in sizes}
    smi.amdsmi_shut_down()
    assert found == sizes


@pytest.mark.parametrize("absent", [None, "N/A", 0xFFFF, 2**32 - 1, 2**64 - 1])
def test_what_firmware_fills_with_ones_is_no_number(absent):
    assert number(absent) is None
    assert number(0) == 0.0
