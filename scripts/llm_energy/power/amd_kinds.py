"""Kinds of AMD GPUs: what the sensor of each covers, and where its counter begins again.

From documents and the kernel's sources; not run on an AMD GPU.
"""

from dataclasses import dataclass
from typing import Any

from llm_energy.power.amd_binding import FIRMWARE_JOULES
from llm_energy.power.meter import Scope

RADEON = ("gfx10", "gfx11", "gfx12")
"""Architectures whose sensor sees the chip alone (SoC power in the kernel's thermal.rst). That of
Instinct modules is limited to the power of the whole board."""

OF_32_BITS = ("gfx908", *RADEON)
"""Architectures whose accumulator starts again after 2^32 units, 65,536 J."""

APUS = {"gfx902", "gfx90c", "gfx1013", "gfx1033", "gfx1035", "gfx1036", "gfx1103"}
APUS |= {"gfx1150", "gfx1151", "gfx1152", "gfx1153"}
"""Architectures of processors with a GPU (LLVM's user guide for AMDGPU)."""


@dataclass(frozen=True)
class Kind:
    """Properties of a sensor that its readings do not show."""

    scope: Scope
    refusal: str | None
    counter_range_joules: float | None


def kind_of(model: str, architecture: str, partition: str | None, metrics: Any) -> Kind:
    """Return the kind of a GPU.

    Args:
        partition: SPX: it is not divided; None: not known.
        metrics: the table of its firmware; its format has versions above 1 for APUs. None: unknown.
    """
    revision = metrics.common_header.format_revision if metrics else 1
    scope: Scope = "gpu_chip" if architecture.startswith(RADEON) else "gpu_board"
    if "MI300A" in model or architecture in APUS or revision > 1:
        scope = "module"
    # One of the two dies of an MI250 reports the power of both, the other none.
    shared = "MI250" in model or partition not in (None, "SPX")
    wraps = architecture.startswith(OF_32_BITS)
    return Kind(
        scope=scope,
        refusal="board_shared" if shared else None,
        counter_range_joules=2**32 * FIRMWARE_JOULES if wraps else None,
    )
