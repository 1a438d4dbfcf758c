"""The file of a wall meter: samples of power over time, or the reason why they cannot be read.

Two formats are read. The first is a table with the columns `time` and `watts`. The other is the log
of SPEC's PTDaemon, which MLPerf's power measurements keep: lines of names and values,
`Time,11-29-2026 14:00:00.250,Watts,302.1,Volts,...`, in the local time of its machine.
"""

import contextlib
import csv
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from llm_energy.power.series import Samples

FIRST_S, LAST_S = 946_684_800.0, 4_102_444_800.0
"""The years 2000 to 2100: times outside of them are no time since 1970 in that unit."""

UNITS_PER_S = (1.0, 1e3, 1e6, 1e9)
"""Seconds, milliseconds, microseconds and nanoseconds, whose years do not overlap."""

PTDAEMON_TIMES = ("%m-%d-%Y %H:%M:%S.%f", "%m-%d-%Y %H:%M:%S")

TIMES = "seconds or milliseconds since 1970, or ISO 8601"
WANTED = f"a table needs the columns time ({TIMES}) and watts"
LONGEST = 60
"""Characters of what was found that a message shows."""

SAVE = "save it as CSV in UTF-8"


class WallMeterError(ValueError):
    """The meter's file cannot be used; one line names it, what was found, and the remedy."""


def read_wall_meter(path: Path) -> Samples:
    """Read the file of a wall meter.

    Returns:
        Power in W over seconds since 1970 by the meter's clock; times without a zone are in UTC.

    Raises:
        WallMeterError: it is neither of the two formats, or a line of it is not.
        OSError: it cannot be opened.
    """
    text = _decoded(path)
    try:
        rows = list(_rows(text))
    except csv.Error as error:
        raise WallMeterError(f"{path}: is no CSV file ({error}); {SAVE}") from error
    if not rows:
        raise WallMeterError(f"{path}: is empty; {WANTED}")
    samples = _ptdaemon(path, rows) if _is_ptdaemon(rows[0][1]) else _table(path, rows)
    return _ascending(path, list(samples))


Row = tuple[int, list[str]]
"""Number of a line, and its fields."""

Sample = tuple[int, float, float]
"""Number of a line, seconds since 1970, and W."""


def _decoded(path: Path) -> str:
    """The text of a file in UTF-8 or UTF-16 by its byte order mark, or else in Latin-1.

    What is read are ASCII names and numbers, so that the signs of other encodings change nothing.
    """
    content = path.read_bytes()
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return content.decode("utf-16")
        except UnicodeDecodeError as error:
            raise WallMeterError(f"{path}: is damaged UTF-16 ({error.reason}); {SAVE}") from error
    if b"\0" in content:
        found = f"begins with {_quoted(content[:8])}"
        raise WallMeterError(f"{path}: is no text, it {found}; {SAVE}")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _rows(text: str) -> Iterator[Row]:
    """Yield the lines that are not blank, without blanks around their fields."""
    lines = text.splitlines()
    head = next((line for line in lines if line.strip()), "")
    delimiter = max(",;\t", key=head.count)
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)
    for fields in reader:
        stripped = [field.strip() for field in fields]
        if any(stripped):
            yield reader.line_num, stripped


def _is_ptdaemon(fields: list[str]) -> bool:
    """Return True for a line of names and values in turn, as no head of a table is."""
    return len(fields) > 1 and fields[0].lower() == "time" and fields[1][:1].isdigit()


def _ptdaemon(path: Path, rows: list[Row]) -> Iterator[Sample]:
    for line, fields in rows:
        names = [name.lower() for name in fields[::2]]
        if names[:1] != ["time"] or names.count("watts") != 1:
            raise WallMeterError(
                f"{path}:{line}: {_quoted(','.join(fields))} is no line of PTDaemon with one "
                "channel, `Time,11-29-2026 14:00:00.250,Watts,302.1,...`; remove it"
            )
        known = dict(zip(names, fields[1::2], strict=False))
        time_s = _ptdaemon_time(known.get("time", ""))
        if time_s is None:
            raise WallMeterError(
                f"{path}:{line}: time is {_quoted(known.get('time', ''))}, not month-day-year and "
                "time of day; remove the line"
            )
        yield line, time_s, _watts(path, line, known.get("watts", ""))


def _ptdaemon_time(text: str) -> float | None:
    for form in PTDAEMON_TIMES:
        with contextlib.suppress(ValueError):
            return datetime.strptime(text, form).replace(tzinfo=UTC).timestamp()
    return None


def _table(path: Path, rows: list[Row]) -> Iterator[Sample]:
    (line, head), *body = rows
    names = [name.lower() for name in head]
    for wanted in ("time", "watts"):
        if names.count(wanted) != 1:
            found = ", ".join(map(_quoted, head[:8]))
            number = "no" if wanted not in names else "more than one"
            raise WallMeterError(f"{path}:{line}: {number} column {wanted} in {found}; {WANTED}")
    time, watts = names.index("time"), names.index("watts")
    for line, fields in body:
        if len(fields) != len(head):
            raise WallMeterError(
                f"{path}:{line}: {len(fields)} values under {len(head)} columns; complete the "
                "line, or remove it"
            )
        yield line, _seconds(fields[time], path, line), _watts(path, line, fields[watts])


def _seconds(text: str, path: Path, line: int) -> float:
    """Seconds since 1970 of a time in a line of a file."""
    number = _number(text)
    try:
        values = (
            [number / unit for unit in UNITS_PER_S] if number is not None else [iso_seconds(text)]
        )
    except ValueError:
        values = []
    for value in values:
        if FIRST_S <= value < LAST_S:
            return value
    raise WallMeterError(f"{path}:{line}: time is {_quoted(text)}; write {TIMES}, after 2000")


def iso_seconds(text: str) -> float:
    """Seconds since 1970 of ISO 8601, in UTC where it names no zone.

    Raises:
        ValueError: it is no such time.
    """
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _watts(path: Path, line: int, text: str) -> float:
    number = _number(text)
    if number is None or not math.isfinite(number):
        raise WallMeterError(
            f"{path}:{line}: watts is {_quoted(text)}; write a number with a decimal point"
        )
    return number


def _number(text: str) -> float | None:
    """A number as meters write it, without Python's underscores; None where it is none."""
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None


def _ascending(path: Path, samples: list[Sample]) -> Samples:
    if not samples:
        raise WallMeterError(f"{path}: has no line below its columns; {WANTED}")
    times_s = [time_s for _, time_s, _ in samples]
    for (line, later_s, _), earlier_s in zip(samples[1:], times_s, strict=False):
        if later_s <= earlier_s:
            raise WallMeterError(
                f"{path}:{line}: time does not ascend; sort the lines, and remove what occurs twice"
            )
    return Samples(tuple(times_s), tuple(watts for _, _, watts in samples))


def _quoted(found: str | bytes) -> str:
    """Text or bytes that were found, on one line and not too long."""
    text = repr(found)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
