"""The raw series of a measurement for other tools: CSV, or InfluxDB's line protocol.

python -m llm_energy.power.export SERIES.parquet --format csv > series.csv
"""

import argparse
import csv
import dataclasses
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TextIO

from llm_energy.power.meter import QUANTITIES, Device, Reading, State
from llm_energy.power.parquet import read_series
from llm_energy.power.series import Series

NUMBERS = (*QUANTITIES, *(f.name for f in dataclasses.fields(State) if f.name != "process_ids"))
"""The exported quantities; the unit is in each name."""

HEAD = ("device", "model", "scope", "simulated", "monotonic_s", "wall_s", *NUMBERS)


def write_csv(series: Series, file: TextIO) -> None:
    """One line for each reading; what was not there is empty."""
    devices = {device.id: device for device in series.devices}
    lines = csv.writer(file, lineterminator="\n")
    lines.writerow(HEAD)
    for reading in series.readings:
        device, values = devices[reading.device], _values(reading)
        about = (device.id, device.model, device.scope, str(device.simulated).lower())
        times = (repr(reading.monotonic_s), repr(reading.wall_s))
        lines.writerow([*about, *times, *(values.get(name, "") for name in NUMBERS)])


def line_protocol(series: Series) -> Iterator[str]:
    """One point of the measurement `power` for each reading that has a value, in wall time."""
    tags = {device.id: _tags(device) for device in series.devices}
    for reading in series.readings:
        if values := _values(reading):
            fields = ",".join(f"{name}={value}" for name, value in values.items())
            yield f"power,{tags[reading.device]} {fields} {round(reading.wall_s * 1e6) * 1000}"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("series", type=Path, help="a file of results/{campaign}/series/")
    parser.add_argument("--format", choices=("csv", "line-protocol"), default="csv")
    asked = parser.parse_args(arguments)
    if not asked.series.is_file():
        parser.error(f"{asked.series}: no such file")
    series = read_series(asked.series)
    if asked.format == "csv":
        write_csv(series, sys.stdout)
    else:
        sys.stdout.writelines(f"{line}\n" for line in line_protocol(series))


def _values(reading: Reading) -> Mapping[str, float | int]:
    """Name -> value of all numbers that this reading has."""
    found: dict[str, float | int | None]
    found = {name: getattr(reading, name) for name in QUANTITIES}
    found |= {name: getattr(reading.state, name, None) for name in NUMBERS[len(QUANTITIES) :]}
    return {name: value for name, value in found.items() if value is not None}


def _tags(device: Device) -> str:
    # Commas, spaces and equals signs end a tag unless they are escaped.
    escaped = str.maketrans({",": r"\,", " ": r"\ ", "=": r"\="})
    tags = {"device": device.id, "model": device.model, "scope": device.scope}
    tags["simulated"] = str(device.simulated).lower()
    return ",".join(f"{name}={value.translate(escaped)}" for name, value in tags.items())


if __name__ == "__main__":
    main()
