from tests.nvml_simulator.fixtures import nvml_library, pynvml, simulate

__all__ = ["nvml_library", "pynvml", "simulate"]
