"""Speed of power series in time-series servers and out of Parquet, side by side.

    PYTHONPATH=scripts:. .venv/bin/python -m benchmarks.export [SAMPLES]

Made-up readings of 8 devices at 10 Hz, in measurements of 100,000 values. Each server starts empty
on this machine; `write` is a whole export, from Parquet to the answer of the server, and `read` is
the mean power of each device over all measurements. `lines alone` is the export without a server.
Needs Debian's influxdb, victoria-metrics and postgresql.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import duckdb
import psycopg
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
OF_ONE = 100_000
"""Values of one measurement: counter and power of each reading."""


def make_campaign(folder: Path, count: int) -> None:
    """Write measurements with `OF_ONE` values each."""
    passes = OF_ONE // (2 * len(DEVICES))
    began = time.time() - 3600.0 * 24
    for cycle in range(1, count + 1):
        result = make_result(cycle=cycle, position=cycle, metered=True)
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
        file = write_series(
            folder, side_path(path_of(result), "series"), Series(DEVICES, readings, HZ)
        )
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


SERVERS = {
    "InfluxDB 1": (time_series.influxdb, "influxdb://{}/energy", influx_mean),
    "VictoriaMetrics": (time_series.victoria_metrics, "victoriametrics://{}", victoria_mean),
    "PostgreSQL": (time_series.postgresql, "postgresql://{}/energy", postgres_mean),
}


def size_mb(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


@contextmanager
def scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="llm-energy-export.") as name:
        yield Path(name)


def main() -> None:
    samples = int(sys.argv[1]) if len(sys.argv) > 1 else SAMPLES
    count = samples // OF_ONE
    total = count * (OF_ONE // (2 * len(DEVICES))) * 2 * len(DEVICES)
    sending.undisturbed = nullcontext  # other measurements of this host are not waited for
    with scratch() as folder, pytest_environment():
        campaign = folder / "campaign"
        make_campaign(campaign, count)
        print(f"{total:,} values in {count} measurements\n")
        print("| | Write, s | Values/s | Read, s | Size, MB |\n|---|---|---|---|---|", flush=True)
        text_s = timed(lambda: [sum(1 for _ in lines(each)) for each in measured(campaign)])
        print(f"| lines alone | {text_s:.0f} | {total / text_s:,.0f} | | |", flush=True)
        query = (
            "SELECT device, avg(instant_power_watts) FROM "
            f"read_parquet('{campaign}/series/**/*.parquet') GROUP BY device"
        )
        read_s = timed(lambda: duckdb.sql(query).fetchall())
        print(f"| Parquet, DuckDB | | | {read_s:.2f} | {size_mb(campaign / 'series'):.0f} |")
        for name, (server, form, mean) in SERVERS.items():
            own = folder / name.replace(" ", "-")
            own.mkdir()
            with server(own) as address:
                write_s = timed(lambda: send_campaign(campaign, form.format(address)))  # noqa: B023
                read_s = timed(lambda: mean(address))  # noqa: B023
            rate = total / write_s
            print(
                f"| {name} | {write_s:.0f} | {rate:,.0f} | {read_s:.2f} | {size_mb(own):.0f} |",
                flush=True,
            )


@contextmanager
def pytest_environment() -> Iterator[None]:
    """The credentials of the PostgreSQL that is started here."""
    import pytest

    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PGUSER", time_series.ADMINISTRATOR)
        environment.setenv("PGPASSWORD", time_series.PASSWORD)
        yield


if __name__ == "__main__":
    main()
