"""Sensors that the kernel shows as files, one number in each; none of their answers is an error."""

import math
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from llm_energy.power.meter import SHARED_HOST, Device, Quantity, Reading, Stamp, reading_since

UNREADABLE = "hwmon_unreadable"


def text(file: Path) -> str | None:
    """Return the content of a file; None where it cannot be read or is empty."""
    try:
        return file.read_text().strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def number(content: str) -> int:
    """Return a number as the kernel writes it, in ASCII digits and at most 64 bits.

    Raises:
        ValueError: it is none.
    """
    if not re.fullmatch(r"[0-9]{1,20}\s*", content):
        raise ValueError(f"no number: {content[:20]!r}")
    return int(content)


def known_number(file: Path) -> int | None:
    """Return the number of a file; None where it cannot be read or holds none."""
    try:
        return number(text(file) or "")
    except ValueError:
        return None


@dataclass(frozen=True)
class Value:
    """A quantity that is the product of the numbers in some files, in a unit of its own."""

    files: tuple[Path, ...]
    unit: float = 1e-6
    """In J or W; hwmon's µJ, µW, and the product of its mV and mA."""
    unsigned: bool = True
    """False where a sign only says which way the current flows."""
    unknown: float = math.inf
    """Numbers from here on say that the firmware does not know."""

    def read(self) -> float:
        """Return the quantity now.

        Raises:
            OSError: a file cannot be read.
            ValueError: it holds no number that can be true.
        """
        found = 1
        for file in self.files:
            content = file.read_text()
            found *= number(content if self.unsigned else content.removeprefix("-"))
        if found >= self.unknown:
            raise ValueError(f"not known: {found}")
        return found * self.unit


@dataclass(frozen=True)
class SysfsSensor:
    """A device and the files of its quantities."""

    device: Device
    values: Mapping[Quantity, Value]
    state: tuple[Path, str, str] | None = None
    """File, what it must hold for the values to be used, and the reason code where it does not."""


class SysfsMeter:
    """Sensors of the kernel that are read through files alone."""

    def __init__(self, sensors: Sequence[SysfsSensor]) -> None:
        self._sensors = {sensor.device.id: sensor for sensor in sensors}
        self.devices = tuple(sensor.device for sensor in self._sensors.values())

    @classmethod
    def open(cls, sensors: Sequence[SysfsSensor], *, shared: bool = False) -> "SysfsMeter | None":
        """The meter of some sensors, None without any.

        Args:
            shared: other measurements use the host meanwhile, so that no energy of it is anybody's.
        """
        if shared:
            sensors = [
                replace(sensor, device=replace(sensor.device, refusal=SHARED_HOST))
                for sensor in sensors
            ]
        return cls(sensors) if sensors else None

    def read(self, device: Device, *, slow: bool) -> Reading:  # noqa: ARG002 - nothing is slow here
        sensor = self._sensors[device.id]
        values: dict[str, float] = {}
        unavailable: dict[str, str] = {}
        stamps: dict[Quantity, Stamp] = {}
        start_s = time.monotonic()
        if sensor.state is not None:
            file, usable, reason = sensor.state
            if text(file) != usable:
                return reading_since(
                    start_s, device, unavailable=dict.fromkeys(sensor.values, reason)
                )
        for quantity, value in sensor.values.items():
            began_s = time.monotonic()
            try:
                values[quantity] = value.read()
                stamps[quantity] = Stamp.since(began_s)
            except (OSError, ValueError):
                unavailable[quantity] = UNREADABLE
        return reading_since(start_s, device, unavailable=unavailable, stamps=stamps, **values)

    def close(self) -> None:
        """Nothing stays open between readings."""
