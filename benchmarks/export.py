"""Speed of power series in time-series servers and out of Parquet, side by side.

    PYTHONPATH=scripts:. .venv/bin/python -m benchmarks.export [SAMPLES] [ROUNDS]

Made-up readings of 8 devices at 10 Hz, in measurements of 100,000 values. All servers start empty
on this machine. The measurements are sent in rounds, and in each round to every server in turn, so
that other load of the machine meets all of them; a ratio is taken within its round. `write` is a
whole export, from Parquet to the answer of the server, and `read` is the mean power of each device
over all measurements. `lines alone` is the export without a server. With 0 rounds, Parquet alone is
read. Needs Debian's influxdb, victoria-metrics and postgresql.
"""

import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path

import duckdb
import pandas
import psycopg
import pytest
from tests import time_series
from tests.llm_energy.make_results import make_result, path_of, put_result

from llm_energy.export import sending
from llm_energy.export.channels import measured
from llm_energy.export.line_protocol import lines
from llm_energy.export.sending import send_campaign
from llm_energy.power.meter import Device, Reading
from llm_energy.power.series import Series
from llm_energy.power.series_file import write_series
from llm_energy.results.layout import side_path

DEVICES = tuple(Device(f"GPU-{n}", "Made GPU", "gpu_board", simulated=True) for n in range(8))
HZ = 10.0
SAMPLES = 10_000_000
ROUNDS = 5
READS = 5
OF_ONE = 100_000
"""Values of one measurement: counter and power of each reading."""


def make_campaign(folder: Path, cycles: range) -> None:
    """Write measurements with `OF_ONE` values each."""
    passes = OF_ONE // (2 * len(DEVICES))
    began = time.time() - 3600.0 * 24
    readings = tuple(
        Reading(
            device.id,
            number / HZ,
            began + number / HZ,
            0.001,
            energy_counter_joules=30.0 * number + 0.001 * index,
            instant_power_watts=300.0 + (number * 7919 + index) % 1000 / 10,
        )
        for number in range(passes)
        for index, device in enumerate(DEVICES)
    )
    made = write_series(folder, "made.parquet", Series(DEVICES, readings, HZ))
    for cycle in cycles:
        result = make_result(cycle=cycle, position=cycle, metered=True)
        file = made.model_copy(update={"path": side_path(path_of(result), "series")})
        (folder / file.path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / made.path, folder / file.path)
        put_result(
            folder / path_of(result), result.model_copy(update={"side_files": {"series": file}})
        )


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def influx_mean(address: str) -> None:
    query = 'SELECT mean("instant_power_watts") FROM power GROUP BY device'
    found = time_series.got_json(address, "/query", db="energy", q=query)
    assert len(found["results"][0]["series"]) == len(DEVICES)


def victoria_mean(address: str) -> None:
    time_series.got(address, "/internal/force_flush")
    query = "avg by (device) (avg_over_time(power_instant_power_watts[2d]))"
    found = time_series.got_json(address, "/api/v1/query", query=query)
    assert len(found["data"]["result"]) == len(DEVICES)


def postgres_mean(address: str) -> None:
    url = f"postgresql://postgres@{address}/energy"
    with psycopg.connect(url, password=time_series.PASSWORD) as connection:
        rows = connection.execute(
            "SELECT device, avg(value) FROM llm_energy.power"
            " WHERE quantity = 'instant_power_watts' GROUP BY device"
        ).fetchall()
    assert len(rows) == len(DEVICES)


def duckdb_mean(folder: Path) -> None:
    rows = duckdb.sql(
        "SELECT device, avg(instant_power_watts) FROM "
        f"read_parquet('{folder}/*/series/**/*.parquet') GROUP BY device"
    ).fetchall()
    assert len(rows) == len(DEVICES)


def pandas_mean(folder: Path) -> None:
    columns = ["device", "instant_power_watts"]
    table = pandas.concat(
        pandas.read_parquet(path, columns=columns)
        for path in sorted(folder.glob("*/series/**/*.parquet"))
    )
    assert len(table.groupby("device")["instant_power_watts"].mean()) == len(DEVICES)


ALONE = "lines alone"
SERVERS = {
    "InfluxDB 1": (time_series.influxdb, "influxdb://{}/energy", influx_mean),
    "VictoriaMetrics": (time_series.victoria_metrics, "victoriametrics://{}", victoria_mean),
    "PostgreSQL": (
        partial(time_series.postgresql, fsync=True),
        "postgresql://{}/energy",
        postgres_mean,
    ),
}


def size_mb(folder: Path) -> float:
    total = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):  # a server replaces its files
            total += path.stat().st_size if path.is_file() else 0
    return total / 1e6


def write_lines(campaign: Path) -> None:
    for each in measured(campaign):
        sum(1 for _ in lines(each))


def in_turn(works: dict[str, Callable[[], object]], turn: int) -> dict[str, float]:
    """Return the seconds of each work; another one begins in each turn."""
    names = list(works)
    first = turn % len(names)
    return {name: timed(works[name]) for name in names[first:] + names[:first]}


def ratio(rounds: list[dict[str, float]], name: str, base: str) -> str:
    """Return the median and range of a ratio over the rounds."""
    ratios = [each[name] / each[base] for each in rounds]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def main() -> None:
    samples = int(sys.argv[1]) if len(sys.argv) > 1 else SAMPLES
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else ROUNDS
    servers = SERVERS if rounds else {}
    count = max(1, samples // OF_ONE // max(1, rounds))
    total = count * max(1, rounds) * OF_ONE
    sending.undisturbed = nullcontext  # other measurements of this host are not waited for
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="llm-energy-export.")))
        campaigns = folder / "campaigns"
        parts = [campaigns / str(number) for number in range(max(1, rounds))]
        for number, part in enumerate(parts):
            make_campaign(part, range(number * count + 1, (number + 1) * count + 1))
        stack.enter_context(credentials())
        addresses, before_mb = {}, {}
        for name, (server, _, _) in servers.items():
            own = folder / name.replace(" ", "-")
            own.mkdir()
            addresses[name] = stack.enter_context(server(own))
            before_mb[name] = size_mb(own)
        written: list[dict[str, float]] = []
        for number, part in enumerate(parts[:rounds]):
            exports: dict[str, Callable[[], object]] = {ALONE: partial(write_lines, part)}
            for name, (_, form, _) in SERVERS.items():
                exports[name] = partial(send_campaign, part, form.format(addresses[name]))
            written.append(in_turn(exports, number))
            print(f"round {number + 1} of {rounds}: {written[-1]}", file=sys.stderr, flush=True)
        reads: dict[str, Callable[[], object]] = {
            "DuckDB": partial(duckdb_mean, campaigns),
            "pandas": partial(pandas_mean, campaigns),
        }
        for name, (_, _, mean) in servers.items():
            reads[name] = partial(mean, addresses[name])
        read = [in_turn(reads, number) for number in range(READS)]
        sizes_mb = {
            name: size_mb(folder / name.replace(" ", "-")) - before_mb[name] for name in servers
        }
        parquet_mb = sum(size_mb(part / "series") for part in parts)
    print(f"{total:,} values in {total // OF_ONE} measurements, in {rounds} rounds\n")
    print(f"| | Write, s | Values/s | Write / {ALONE} | Read, s | Read / DuckDB | Size, MB |")
    print("|---|---|---|---|---|---|---|")
    for name in (ALONE, *reads) if rounds else reads:
        cells = ["", "", "", "", "", ""]
        if rounds and name in written[0]:
            write_s = sum(each[name] for each in written)
            cells[:3] = f"{write_s:.0f}", f"{total / write_s:,.0f}", ratio(written, name, ALONE)
        if name in reads:
            read_s = statistics.median(each[name] for each in read)
            cells[3:5] = f"{read_s:.2f}", ratio(read, name, "DuckDB")
            cells[5] = f"{sizes_mb.get(name, parquet_mb):.0f}"
        print(f"| {name} | {' | '.join(cells)} |")


@contextmanager
def credentials() -> Iterator[None]:
    """Set those of the PostgreSQL that is started here."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PGUSER", time_series.ADMINISTRATOR)
        environment.setenv("PGPASSWORD", time_series.PASSWORD)
        yield


if __name__ == "__main__":
    main()
