"""Which power meters this machine has."""

from pathlib import Path

from llm_energy.power.meter import Meter
from llm_energy.power.nvml import NvmlMeter
from llm_energy.power.rapl import POWERCAP, RaplMeter


def open_meters(*, cpu_model: str, powercap: Path = POWERCAP) -> tuple[Meter, ...]:
    """All meters that are there, to be closed by the caller; empty where there is none.

    A sensor that is there but may not be read is a meter: its readings carry the reason.
    """
    found = (NvmlMeter.open(), RaplMeter.open(powercap, cpu_model=cpu_model))
    return tuple(meter for meter in found if meter is not None)
