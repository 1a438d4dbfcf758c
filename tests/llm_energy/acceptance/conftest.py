"""NVML is the simulator's in all of these tests, whatever the machine has."""

from tests.nvml_simulator.fixtures import nvml_library, simulate

__all__ = ["nvml_library", "simulate"]
