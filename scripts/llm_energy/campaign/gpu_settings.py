"""Settings of the GPUs themselves: power limit and locked clocks, in units or of the default."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from llm_energy.campaign.types import Alternatives, Model, unit

SHARE = ".of_default"
"""End of the dotted name of a setting that is given as a share of the board's default."""


class OfDefault(Model):
    """A share of the board's own value."""

    of_default: Annotated[float, Field(ge=0.01, le=2)]
    """Share of the default power limit, or of the highest clock: 0.7 is 70 %."""


Watts = Annotated[float, Field(ge=1, le=10_000), unit("W")]
Megahertz = Annotated[float, Field(ge=1, le=100_000), unit("MHz")]
_MESSAGE = "must be a number, or {of_default: 0.7}; in axes, vary the setting `KEY.of_default`"
PowerLimit = Annotated[
    Watts | OfDefault | None,
    Alternatives((int, float), dict, type(None), message=_MESSAGE),
]
Clock = Annotated[
    Megahertz | OfDefault | None,
    Alternatives((int, float), dict, type(None), message=_MESSAGE),
]


class GpuSettings(Model):
    """Power limit and clocks of the GPUs, set before an engine is loaded (docs/power-limits.md)."""

    power_limit_watts: PowerLimit = None
    """Power limit of each GPU, or `of_default`. Default: as it is found."""
    sm_clock_mhz: Clock = None
    """Locked clock of the multiprocessors, or `of_default`: of the highest. Needs `restore`."""
    memory_clock_mhz: Clock = None
    """Locked clock of the memory, likewise."""
    restore: Literal["reset"] | None = None
    """`reset`: agree that locked clocks are reset at the end. No driver says whether a clock was
    locked, so that this removes a lock of an administrator too."""

    def declared(self) -> dict[str, Any]:
        """Return what is set, as it identifies an experiment; empty where nothing is."""
        return self.model_dump(mode="json", exclude={"restore"}, exclude_none=True)


QUANTITIES = tuple(name for name in GpuSettings.model_fields if name != "restore")
GPU_KEYS = tuple(f"gpu.{name}{end}" for name in QUANTITIES for end in ("", SHARE))
"""Dotted settings that may vary."""


def layered(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Return flat settings of which later layers win, also where they give a value as a share."""
    merged: dict[str, Any] = {}
    for layer in layers:
        for key in layer:
            merged.pop(key.removesuffix(SHARE) if key.endswith(SHARE) else key + SHARE, None)
        merged |= layer
    return merged


def gpu_faults(settings: GpuSettings, *, on_gpu: bool) -> Iterator[tuple[str, str]]:
    """Yield (dotted setting, what is wrong with it)."""
    for key, value in settings.declared().items():
        name = f"gpu.{key}" + (SHARE if isinstance(value, dict) else "")
        if not on_gpu:
            yield name, "needs `measurement: {device: gpu}`"
        elif "clock" in key and settings.restore is None:
            yield (
                name,
                "no driver says whether a clock was locked before, so that only a reset undoes "
                "it, which removes an administrator's lock too; agree: `gpu: {restore: reset}`",
            )
