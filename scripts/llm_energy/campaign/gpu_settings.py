"""Settings of the GPUs themselves: power limit and locked clocks, in units or of the default."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from llm_energy.campaign.types import Alternatives, Model, unit

SHARE = ".of_default"
"""End of the dotted name of a setting that is given as a share of the board's default."""

BOUNDS = (".from", ".to")
"""Ends of the dotted names of a locked clock that is given as a range."""


class OfDefault(Model):
    """A share of the board's own value."""

    of_default: Annotated[float, Field(ge=0.01, le=2)]
    """Share of the default power limit, or of the highest clock: 0.7 is 70 %."""


Watts = Annotated[float, Field(ge=1, le=10_000), unit("W")]
Megahertz = Annotated[float, Field(ge=1, le=100_000), unit("MHz")]


class ClockRange(Model):
    """A lock that leaves the clock a range, in which the GPU chooses."""

    model_config = ConfigDict(serialize_by_alias=True)

    from_: Annotated[Megahertz | None, Field(alias="from")] = None
    """Lowest clock."""
    to: Megahertz | None = None
    """Highest clock; both are needed."""


_MESSAGE = "must be a number, or {of_default: 0.7}; in axes, vary the setting `KEY.of_default`"
_CLOCKS = "must be a number, {of_default: 0.7}, or {from: 900, to: 1500}; in axes, vary the "
_CLOCKS += "setting `KEY.of_default`, `KEY.from` or `KEY.to`"
PowerLimit = Annotated[
    Watts | OfDefault | None,
    Alternatives((int, float), dict, type(None), message=_MESSAGE),
]
Clock = Annotated[
    Megahertz | OfDefault | ClockRange | None,
    Alternatives((int, float), dict, ("from", "to"), type(None), message=_CLOCKS),
]


class GpuSettings(Model):
    """Power limit and clocks of the GPUs, set before an engine is loaded (docs/power-limits.md)."""

    power_limit_watts: PowerLimit = None
    """Power limit of each GPU, or `of_default`. Default: as it is found."""
    sm_clock_mhz: Clock = None
    """Locked clock of the multiprocessors; or `of_default`: of the highest; or a range, `from` and
    `to`. Needs `restore`."""
    memory_clock_mhz: Clock = None
    """Locked clock of the memory, likewise."""
    restore: Literal["reset"] | None = None
    """`reset`: agree that locked clocks are reset at the end. No driver says whether a clock was
    locked, so that this removes a lock of an administrator too."""

    def declared(self) -> dict[str, Any]:
        """Return what is set, as it identifies an experiment; empty where nothing is."""
        return self.model_dump(mode="json", exclude={"restore"}, exclude_none=True)


FORMS = tuple(
    [[f"gpu.{name}"], [f"gpu.{name}{SHARE}"]]
    + ([[f"gpu.{name}{end}" for end in BOUNDS]] if "clock" in name else [])
    for name in GpuSettings.model_fields
    if name != "restore"
)
"""For each quantity the forms in which it may be given, each the dotted settings of one form."""
GPU_KEYS = tuple(key for forms in FORMS for form in forms for key in form)
"""Dotted settings that may vary."""


def other_forms(key: str) -> list[str]:
    """Return the settings that would give the same quantity in another form."""
    for forms in FORMS:
        if any(key in form for form in forms):
            return [other for form in forms if key not in form for other in form]
    return []


def layered(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Return flat settings; later ones replace earlier ones, also those given in another form."""
    merged: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            for other in other_forms(key):
                merged.pop(other, None)
            merged[key] = value
    return merged


def gpu_faults(settings: GpuSettings, *, on_gpu: bool) -> Iterator[tuple[str, str]]:
    """Yield (dotted setting, what is wrong with it)."""
    for key, value in settings.declared().items():
        name = f"gpu.{key}" + (f".{next(iter(value))}" if isinstance(value, dict) else "")
        if not on_gpu:
            yield name, "needs `measurement: {device: gpu}`"
        elif isinstance(value, dict) and SHARE[1:] not in value and len(value) < len(BOUNDS):
            yield name, "a range needs both `from` and `to`"
        elif isinstance(value, dict) and SHARE[1:] not in value and value["from"] > value["to"]:
            yield name, f"lies above `to`, {value['to']:g} MHz; swap them"
        elif "clock" in key and settings.restore is None:
            yield (
                name,
                "no driver says whether a clock was locked before, so that only a reset undoes "
                "it, which removes an administrator's lock too; agree: `gpu: {restore: reset}`",
            )
