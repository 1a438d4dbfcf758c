"""InfluxDB's line protocol, which several servers read: points `power`, `phases` and `results`.

Every field is a number, and a float: a field that is an integer once and a float later is refused
by InfluxDB, and VictoriaMetrics makes 0 of a text.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from llm_energy.export.channels import SECOND_NS, Channel, Clock, Measured, channels, device_labels
from llm_energy.export.series_columns import SeriesColumns

Precision = Literal["ns", "ms"]
DIVISORS: Mapping[Precision, int] = {"ns": 1, "ms": 10**6}
"""Unit of time stamps -> its nanoseconds."""

ESCAPED = str.maketrans({",": r"\,", " ": r"\ ", "=": r"\=", "\n": r"\ "})
"""Signs that end the value of a tag."""


def tags(labels: Mapping[str, str]) -> str:
    """Return labels as tags in the order of their names, as servers list them."""
    return ",".join(
        f"{name}={value.rstrip(chr(92)).translate(ESCAPED)}"  # a backslash would escape the comma
        for name, value in sorted(labels.items())
        if value
    )


def lines(measured: Measured, precision: Precision = "ns") -> Iterator[str]:
    """Yield the points of a measurement; the last one is its result, which says that all are."""
    labels, divisor, clock = measured.labels, DIVISORS[precision], measured.clock
    if measured.series is not None and clock is not None:
        yield from power_lines(measured.series, labels, clock, precision)
    for phase in measured.result.phases if clock else ():
        assert clock is not None
        start_ns = clock.wall_ns(phase.start_monotonic_s)
        end_ns = clock.wall_ns(phase.end_monotonic_s)
        values = {"duration_s": (end_ns - start_ns) / SECOND_NS, "end_ms": end_ns / 10**6}
        yield _point("phases", {**labels, "phase": phase.name}, values, start_ns, divisor)
    numbers = measured.numbers()
    yield _point("results", measured.result_labels, numbers, measured.finished_ns, divisor)


def power_lines(
    series: SeriesColumns, labels: Mapping[str, str], clock: Clock, precision: Precision = "ns"
) -> Iterator[str]:
    """Yield a point of the measurement `power` for each value of a series."""
    for channel in channels(series):
        head = f"power,{tags({**labels, **device_labels(channel.device)})} {channel.quantity}="
        for time, value in stamped(channel, clock, DIVISORS[precision]):
            yield f"{head}{value} {time}"


def stamped(channel: Channel, clock: Clock, divisor: int) -> Iterable[tuple[int, float]]:
    """Return times and values of a channel, of those in one unit of time the last.

    A server that keeps milliseconds returns values of the same one in any order, so that a counter
    would seem to fall.
    """
    times = (clock.epoch_ns + channel.monotonic_ns + divisor // 2) // divisor
    return dict(zip(times.tolist(), channel.values.tolist(), strict=True)).items()


def _point(
    name: str, labels: Mapping[str, str], values: Mapping[str, float], time_ns: int, divisor: int
) -> str:
    fields = ",".join(f"{key}={value}" for key, value in values.items())
    return f"{name},{tags(labels)} {fields} {time_ns // divisor}"
