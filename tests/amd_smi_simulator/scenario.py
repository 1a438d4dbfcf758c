"""GPUs of AMD for the scenarios of the NVML simulator, which knows the truth about their energy."""

from dataclasses import dataclass

from tests.nvml_simulator.scenario import Gpu

NOT_SUPPORTED, TIMEOUT, NO_PERMISSION, NOT_FOUND = 2, 8, 10, 31
"""Codes of AMD SMI for `Fault`."""

UNITS_PER_JOULE = 65536


@dataclass(frozen=True)
class AmdGpu(Gpu):
    """One simulated GPU; targets of its faults are those of NVML, and `power`, `edge`, `metrics`,
    `bdf`, `driver` and `partition`."""

    name: str = "Simulated Instinct"
    counter_update_s: float = 0.0
    accumulator_bits: int = 64
    """32: of an older architecture; 0: its firmware has no accumulator any more."""
    accumulator_start: int = 0
    """In units of 2^-16 J."""
    resolution_microjoules: float = 15.3
    architecture: str = "942"
    average_only: bool = False
    """Power is an average and throttling a mask, as before MI300."""
    format_revision: int = 1
    """Version of the format of its metrics; APUs have 2 or more."""
    partition: str = "SPX"

    @property
    def id(self) -> str:
        """Its UUID as AMD SMI gives it."""
        return self.uuid.removeprefix("GPU-")

    def text(self) -> str:
        counter = (self.accumulator_bits, self.accumulator_start, self.resolution_microjoules)
        kind = (self.architecture, self.format_revision, int(self.average_only), self.partition)
        lines = ["accumulator " + " ".join(map(str, counter)), "amd " + " ".join(map(str, kind))]
        return super().text() + "\n".join(lines) + "\n"
