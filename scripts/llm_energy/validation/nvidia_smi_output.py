"""What nvidia-smi prints, as samples of power on the clock of everything else.

Its CSV (`--format=csv`) has a header with units and one row for each GPU and turn:

    timestamp, uuid, power.draw.instant [W], power.draw.average [W]
    2026/01/31 13:06:03.419, GPU-..., 71.32 W, [N/A]

Source: nvidia-smi(1), and `nvidia-smi --help-query-gpu` for the fields. The stamp is local time in
ms, so that the tool is run with TZ=UTC0. It stands before the reading and says nothing of how long
that took.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType

from llm_energy.power.meter import Quantity
from llm_energy.power.series import Samples

FIELDS: Mapping[str, Quantity] = MappingProxyType(
    {
        "power.draw.instant": "instant_power_watts",
        "power.draw.average": "average_power_watts",
    }
)
"""What is asked for, by nvidia-smi's name; the energy counter is not among its fields."""

UNIT = " W"
REASONS = {
    "N/A": "not_supported",
    "Not Supported": "not_supported",
    "GPU is lost": "gpu_lost",
    "GPU requires reset": "gpu_lost",
}
"""What stands in brackets instead of a value -> reason code; anything else is `read_failed`."""


class NvidiaSmiError(Exception):
    """nvidia-smi does not work here; the message is what it said."""


@dataclass(frozen=True)
class Row:
    """One reading of one GPU."""

    wall_s: float
    """Seconds since 1970, UTC, to the ms."""
    uuid: str
    watts: Mapping[Quantity, float]
    unavailable: Mapping[Quantity, str]
    """Quantity -> reason code, for those that are not in `watts`."""


def command(*, period_s: float | None = None) -> list[str]:
    """One reading of every GPU, or one each `period_s` until the tool is ended."""
    asked = ["nvidia-smi", f"--query-gpu=timestamp,uuid,{','.join(FIELDS)}", "--format=csv"]
    return asked if period_s is None else [*asked, "-lms", str(round(1e3 * period_s))]


def header() -> list[str]:
    """The columns that `command` asks for."""
    return ["timestamp", "uuid", *(f"{field} [{UNIT.strip()}]" for field in FIELDS)]


def parse(lines: Sequence[str]) -> list[Row]:
    """The readings in what the tool printed, in their order.

    A line that is no row (the last one, cut off by its end, or a word of the driver) is left out.

    Raises:
        NvidiaSmiError: it does not begin with the columns that were asked for.
    """
    said = [line.strip() for line in lines if line.strip()]
    if not said or said[0].split(", ") != header():
        raise NvidiaSmiError("; ".join(said[:3]) or "nvidia-smi printed nothing")
    return [row for line in said[1:] if (row := _row(line)) is not None]


def is_row(line: str) -> bool:
    """Whether a line is a reading."""
    return _row(line.strip()) is not None


def samples(rows: Iterable[Row], uuid: str, quantity: Quantity, *, offset_s: float) -> Samples:
    """One quantity of one GPU on CLOCK_MONOTONIC.

    Args:
        offset_s: see `clock_offset`.
    """
    kept = [
        (row.wall_s - offset_s, row.watts[quantity])
        for row in rows
        if row.uuid == uuid and quantity in row.watts
    ]
    return Samples(tuple(t for t, _ in kept), tuple(v for _, v in kept))


def reason(rows: Sequence[Row], uuid: str, quantity: Quantity) -> str:
    """Why `quantity` was last missing; `no_samples` where nothing says so."""
    for row in reversed(rows):
        if row.uuid == uuid and quantity in row.unavailable:
            return row.unavailable[quantity]
    return "no_samples"


def clock_offset() -> float:
    """Wall time less CLOCK_MONOTONIC in s, now; both are the same inside a container."""
    before_s = time.monotonic()
    wall_s = time.time()
    return wall_s - (before_s + time.monotonic()) / 2


def _row(line: str) -> Row | None:
    stamp, *rest = line.split(", ")
    if len(rest) != 1 + len(FIELDS):
        return None
    watts: dict[Quantity, float] = {}
    unavailable: dict[Quantity, str] = {}
    try:
        at = datetime.strptime(stamp, "%Y/%m/%d %H:%M:%S.%f").replace(tzinfo=UTC)
        for quantity, text in zip(FIELDS.values(), rest[1:], strict=True):
            if text.startswith("["):
                unavailable[quantity] = REASONS.get(text.strip("[]"), "read_failed")
            elif text.endswith(UNIT):
                watts[quantity] = float(text.removesuffix(UNIT))
            else:
                return None
    except ValueError:
        return None
    return Row(at.timestamp(), rest[0], watts, unavailable)
