"""The raw series of measurements for other tools: CSV, and InfluxDB's line protocol.

The target `export` does it for a whole campaign; for one file:

    python -m llm_energy.analysis.export SERIES.parquet --format csv > series.csv
"""

import argparse
import csv
import dataclasses
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TextIO

from llm_energy.power.meter import QUANTITIES, Device, Reading, State
from llm_energy.power.series import Series
from llm_energy.power.series_file import read_identity, read_series
from llm_energy.results.layout import files

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


def line_protocol(
    series: Series, *, identity: Mapping[str, Any] = MappingProxyType({})
) -> Iterator[str]:
    """One point of the measurement `power` for each reading that has a value, in wall time.

    Args:
        identity: what the series belongs to; becomes tags, as the device does.
    """
    tags = {device.id: _tags(device, identity) for device in series.devices}
    for reading in series.readings:
        if values := _values(reading):
            fields = ",".join(f"{name}={value}" for name, value in values.items())
            yield f"power,{tags[reading.device]} {fields} {round(reading.wall_s * 1e6) * 1000}"


def export_campaign(results: Path) -> list[Path]:
    """Write every series of a campaign to `export/`, as .csv and as .lp; returns the files."""
    written = []
    for path in sorted(files(results, "series")):
        series, identity = read_series(path), read_identity(path)
        target = results / "export" / path.relative_to(results / "series")
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.with_suffix(".csv").open("w", newline="") as file:
            write_csv(series, file)
        with target.with_suffix(".lp").open("w") as file:
            file.writelines(f"{line}\n" for line in line_protocol(series, identity=identity))
        written += [target.with_suffix(".csv"), target.with_suffix(".lp")]
    return written


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("series", type=Path, help="a file of results/{campaign}/series/")
    parser.add_argument("--format", choices=("csv", "line-protocol"), default="csv")
    options = parser.parse_args(arguments)
    if not options.series.is_file():
        parser.error(f"{options.series}: no such file")
    series = read_series(options.series)
    if options.format == "csv":
        write_csv(series, sys.stdout)
    else:
        lines = line_protocol(series, identity=read_identity(options.series))
        sys.stdout.writelines(f"{line}\n" for line in lines)


def _values(reading: Reading) -> Mapping[str, float | int]:
    """Name -> value of all numbers that this reading has."""
    found: dict[str, float | int | None]
    found = {name: getattr(reading, name) for name in QUANTITIES}
    found |= {name: getattr(reading.state, name, None) for name in NUMBERS[len(QUANTITIES) :]}
    return {name: value for name, value in found.items() if value is not None}


def _tags(device: Device, identity: Mapping[str, Any]) -> str:
    # Commas, spaces and equals signs end a tag unless they are escaped.
    escaped = str.maketrans({",": r"\,", " ": r"\ ", "=": r"\="})
    tags = {"device": device.id, "model": device.model, "scope": device.scope}
    tags["simulated"] = str(device.simulated).lower()
    tags |= {name: str(value) for name, value in identity.items()}
    return ",".join(f"{name}={value.translate(escaped)}" for name, value in tags.items())


if __name__ == "__main__":
    main()
