"""The output of nvidia-smi, as readings on the clock of everything else.

Its CSV (`--format=csv`) has a header with units and one row for each GPU and turn:

    timestamp, uuid, power.draw.instant [W], power.draw.average [W]
    2026/01/31 13:06:03.419, GPU-..., 71.32 W, [N/A]

Source: nvidia-smi(1), and `nvidia-smi --help-query-gpu` for the fields. The stamp is local time in
ms, so that the tool is run with TZ=UTC0. It stands before the reading and does not say how long
that took.
"""

import math
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from llm_energy.power.meter import Reading
from llm_energy.power.sensor import QUANTITY, Method

FIELDS: Mapping[str, Method] = {
    "power.draw.instant": "integrated_instant",
    "power.draw.average": "integrated_average",
}
"""The requested fields, by nvidia-smi's name; the energy counter is not among its fields."""

UNIT = " W"
REASONS = {
    "N/A": "not_supported",
    "Not Supported": "not_supported",
    "GPU is lost": "gpu_lost",
    "GPU requires reset": "gpu_lost",
}
"""Text in brackets instead of a value -> reason code; anything else is `read_failed`."""

CLOCK_ATTEMPTS = 5
"""How often wall clock and CLOCK_MONOTONIC are read together."""


class NvidiaSmiError(Exception):
    """nvidia-smi does not work here; the message is its own."""


def command(*, period_s: float | None = None) -> list[str]:
    """One reading of every GPU, or one each `period_s` until the tool is ended."""
    once = ["nvidia-smi", f"--query-gpu=timestamp,uuid,{','.join(FIELDS)}", "--format=csv"]
    return once if period_s is None else [*once, "-lms", str(round(1e3 * period_s))]


def header() -> list[str]:
    """The columns that `command` requests."""
    return ["timestamp", "uuid", *(f"{field} [{UNIT.strip()}]" for field in FIELDS)]


def parse(lines: Sequence[str], *, offset_s: float) -> list[Reading]:
    """The readings in the tool's output, in their order.

    A line that is no row (the last one, cut off by its end, or a message of the driver) is left
    out.

    Args:
        offset_s: wall time less CLOCK_MONOTONIC, see `clock_offset`.

    Raises:
        NvidiaSmiError: it does not begin with the requested columns.
    """
    printed = [line.strip() for line in lines if line.strip()]
    if not printed or printed[0].split(", ") != header():
        raise NvidiaSmiError("; ".join(printed[:3]) or "nvidia-smi printed nothing")
    readings = (parse_row(line, offset_s=offset_s) for line in printed[1:])
    return [reading for reading in readings if reading is not None]


def parse_row(line: str, *, offset_s: float) -> Reading | None:
    """The reading of one line; None where it is no row."""
    stamp, *rest = line.strip().split(", ")
    if len(rest) != 1 + len(FIELDS):
        return None
    watts: dict[str, float] = {}
    unavailable: dict[str, str] = {}
    try:
        moment = datetime.strptime(stamp, "%Y/%m/%d %H:%M:%S.%f").replace(tzinfo=UTC)
        for method, text in zip(FIELDS.values(), rest[1:], strict=True):
            if text.startswith("["):
                unavailable[QUANTITY[method]] = REASONS.get(text.strip("[]"), "read_failed")
            elif text.endswith(UNIT):
                watts[QUANTITY[method]] = float(text.removesuffix(UNIT))
            else:
                return None
    except ValueError:
        return None
    wall_s = moment.timestamp()
    return Reading(
        device=rest[0],
        monotonic_s=wall_s - offset_s,
        wall_s=wall_s,
        read_s=math.nan,
        unavailable=unavailable,
        instant_power_watts=watts.get("instant_power_watts"),
        average_power_watts=watts.get("average_power_watts"),
    )


def clock_offset() -> float:
    """Wall time less CLOCK_MONOTONIC in s, now; both are the same inside a container.

    A process that is interrupted between two clocks reads them apart: the shortest of several
    attempts counts.
    """
    attempts = [(time.monotonic(), time.time(), time.monotonic()) for _ in range(CLOCK_ATTEMPTS)]
    before_s, wall_s, after_s = min(attempts, key=lambda attempt: attempt[2] - attempt[0])
    return wall_s - (before_s + after_s) / 2
