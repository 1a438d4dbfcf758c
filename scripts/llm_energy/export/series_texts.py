"""The raw series of measurements as files for other tools: CSV, and InfluxDB's line protocol.

The target `export` does it for a whole campaign; for one file:

    python -m llm_energy.export.series_texts SERIES.parquet --format csv > series.csv
"""

import argparse
import csv
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from llm_energy.export.channels import EXPORTED, Clock, measured
from llm_energy.export.line_protocol import lines, power_lines
from llm_energy.power.meter import QUANTITIES, Reading
from llm_energy.power.series import Series
from llm_energy.power.series_file import read_identity, read_series
from llm_energy.results.layout import files

HEAD = ("device", "model", "scope", "simulated", "monotonic_s", "wall_s", *EXPORTED)


def write_csv(series: Series, file: TextIO) -> None:
    """One line for each reading, as it was read; what was not there is empty."""
    devices = {device.id: device for device in series.devices}
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(HEAD)
    for reading in series.readings:
        device, values = devices[reading.device], _values(reading)
        about = (device.id, device.model, device.scope, str(device.simulated).lower())
        times = (repr(reading.monotonic_s), repr(reading.wall_s))
        rows.writerow([*about, *times, *(values.get(name, "") for name in EXPORTED)])


def export_campaign(results: Path) -> list[Path]:
    """Write `export/` anew and return its files: every series as .csv, and of each series that
    belongs to a result the points that servers get as .lp.

    Raises:
        ResultError: a result cannot be used.
    """
    written = []
    for path in files(results, "series"):
        target = _target(results, path, ".csv")
        with target.open("w", newline="") as file:
            write_csv(read_series(path), file)
        written.append(target)
    for each in measured(results):
        if each.series is not None:
            series = results / each.result.side_files["series"].path
            target = _target(results, series, ".lp")
            with target.open("w") as file:
                file.writelines(f"{line}\n" for line in lines(each))
            written.append(target)
    return sorted(written)


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
    elif series.readings:
        labels = {name: str(value) for name, value in read_identity(options.series).items()}
        clock = Clock.of(series.readings[0].monotonic_s, series.readings[0].wall_s)
        sys.stdout.writelines(f"{line}\n" for line in power_lines(series, labels, clock))


def _target(results: Path, series: Path, suffix: str) -> Path:
    target = results / "export" / series.relative_to(results / "series").with_suffix(suffix)
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


def _values(reading: Reading) -> Mapping[str, float | int]:
    """Name -> value of all numbers that this reading has."""
    found: dict[str, float | int | None]
    found = {name: getattr(reading, name) for name in QUANTITIES}
    found |= {name: getattr(reading.state, name, None) for name in EXPORTED[len(QUANTITIES) :]}
    return {name: value for name, value in found.items() if value is not None}


if __name__ == "__main__":
    main()
