"""The raw series of measurements as files for other tools: CSV, and InfluxDB's line protocol.

The target `export` does it for a whole campaign; for one file:

    python -m llm_energy.export.series_texts SERIES.parquet --format csv > series.csv
"""

import argparse
import csv
import sys
from pathlib import Path
from typing import TextIO

from llm_energy.export.channels import EXPORTED, Clock, device_labels, measured
from llm_energy.export.line_protocol import lines, power_lines
from llm_energy.export.series_columns import SeriesColumns, read_columns
from llm_energy.power.series_file import read_identity
from llm_energy.results.layout import files

NUMBERS = ("monotonic_s", "wall_s", *EXPORTED)
HEAD = ("device", "model", "scope", "simulated", *NUMBERS)


def write_csv(series: SeriesColumns, file: TextIO) -> None:
    """One line for each reading, as it was read; what was not there is empty."""
    labels = {device.id: device_labels(device).values() for device in series.devices}
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(HEAD)
    numbers = zip(*(series.column(name) for name in NUMBERS), strict=True)
    for device, values in zip(series.column("device"), numbers, strict=True):
        rows.writerow([*labels[device], *values])


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
            write_csv(read_columns(path), file)
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
    series = read_columns(options.series)
    if options.format == "csv":
        write_csv(series, sys.stdout)
    elif clock := Clock.at_start(series):
        labels = {name: str(value) for name, value in read_identity(options.series).items()}
        sys.stdout.writelines(f"{line}\n" for line in power_lines(series, labels, clock))


def _target(results: Path, series: Path, suffix: str) -> Path:
    target = results / "export" / series.relative_to(results / "series").with_suffix(suffix)
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


if __name__ == "__main__":
    main()
