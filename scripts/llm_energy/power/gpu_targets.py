"""Power limit and clocks that an experiment asks of each GPU, resolved for one board."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class GpuTargetError(Exception):
    """A board cannot do what a campaign asks; one line with the range."""


@dataclass(frozen=True)
class Target:
    """A value, a share of the board's own, or a range."""

    value: float | None = None
    """The highest of a range."""
    of_default: float | None = None
    least: float | None = None
    """The lowest of a range; None where it is none."""

    @classmethod
    def of(cls, declared: Any) -> "Target":
        """Return the target that a setting declares."""
        if not isinstance(declared, Mapping):
            return cls(value=float(declared))
        if "to" in declared:
            return cls(value=declared["to"], least=declared["from"])
        return cls(of_default=declared["of_default"])

    def resolved(self, default: float | None, name: str) -> float:
        """Return the value for a board.

        Raises:
            GpuTargetError: the board does not report its own.
        """
        if self.value is not None:
            return self.value
        if default is None or self.of_default is None:
            raise GpuTargetError(f"gpu.{name}: the board reports no default; give it in units")
        return self.of_default * default


@dataclass(frozen=True)
class GpuRange:
    """Range that a board can be set to; None where it does not say."""

    default_limit_watts: float | None = None
    least_limit_watts: float | None = None
    greatest_limit_watts: float | None = None
    highest_sm_clock_mhz: float | None = None
    highest_memory_clock_mhz: float | None = None


@dataclass(frozen=True)
class Clocks:
    """Lowest and highest clock of a lock, in MHz; mostly the same."""

    least: int
    greatest: int


@dataclass(frozen=True)
class GpuSetting:
    """Settings of one GPU; None: as it was found."""

    power_limit_watts: float | None = None
    sm_clock_mhz: Clocks | None = None
    memory_clock_mhz: Clocks | None = None


@dataclass(frozen=True)
class GpuTargets:
    """Targets of an experiment for each of its GPUs; None: nothing."""

    power_limit_watts: Target | None = None
    sm_clock_mhz: Target | None = None
    memory_clock_mhz: Target | None = None

    @classmethod
    def of(cls, declared: Mapping[str, Any]) -> "GpuTargets | None":
        """Return what the settings `gpu` of an experiment ask; None where they ask nothing."""
        targets = {name: Target.of(value) for name, value in declared.items()}
        return cls(**targets) if targets else None

    def on(self, board: GpuRange) -> GpuSetting:
        """Resolve for one board: whole watts, as drivers take them, and whole MHz.

        Raises:
            GpuTargetError: it cannot do this, with its range.
        """
        return GpuSetting(
            self._limit_watts(board),
            _clock_mhz(self.sm_clock_mhz, board.highest_sm_clock_mhz, "sm_clock_mhz"),
            _clock_mhz(self.memory_clock_mhz, board.highest_memory_clock_mhz, "memory_clock_mhz"),
        )

    def _limit_watts(self, board: GpuRange) -> float | None:
        if self.power_limit_watts is None:
            return None
        least, most = board.least_limit_watts, board.greatest_limit_watts
        if least is None or most is None:
            raise GpuTargetError("gpu.power_limit_watts: the power limit of this GPU is fixed")
        watts = self.power_limit_watts.resolved(board.default_limit_watts, "power_limit_watts")
        if not least <= watts <= most:
            message = f"gpu.power_limit_watts: {watts:g} W is outside of {least:g} to {most:g} W"
            raise GpuTargetError(message)
        return float(min(max(round(watts), math.ceil(least)), math.floor(most)))


def _clock_mhz(target: Target | None, highest_mhz: float | None, name: str) -> Clocks | None:
    if target is None:
        return None
    mhz = round(target.resolved(highest_mhz, name))
    if highest_mhz is not None and mhz > highest_mhz:
        raise GpuTargetError(f"gpu.{name}: {mhz} MHz is above the highest, {highest_mhz:g} MHz")
    return Clocks(mhz if target.least is None else round(target.least), mhz)
