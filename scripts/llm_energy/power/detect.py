"""Which power meters this machine has."""

from pathlib import Path

from llm_energy.power.meter import Meter
from llm_energy.power.rapl import POWERCAP, RaplMeter


def open_meters(*, cpu_model: str, powercap: Path = POWERCAP) -> tuple[Meter, ...]:
    """All meters that are there, to be closed by the caller; empty where there is none.

    A sensor that is there but may not be read is a meter: its readings carry the reason.
    """
    rapl = RaplMeter.open(powercap, cpu_model=cpu_model)
    return () if rapl is None else (rapl,)
