"""Campaigns in real servers: the same joules read back, twice is once, and what users get wrong."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from tests import time_series
from tests.llm_energy.export import server_contents as contents
from tests.llm_energy.export.made_campaign import DEVICES, joules, make_exported
from tests.llm_energy.export.server_contents import influx_rows, victoria_series
from tests.time_series import PASSWORD

from llm_energy.export import line_servers, postgresql, sending
from llm_energy.export.sending import send_campaign
from llm_energy.export.servers import ExportError
from llm_energy.power.integration import integrate
from llm_energy.power.series import Samples

pytestmark = pytest.mark.long
QUANTITIES = {"counter": "energy_counter_joules", "integrated_instant": "instant_power_watts"}


@pytest.fixture(autouse=True)
def no_other_measurement(monkeypatch):
    """Measurements of other tests on this host are not waited for."""
    monkeypatch.setattr(sending, "undisturbed", nullcontext)


@pytest.fixture(scope="module")
def campaign(tmp_path_factory):
    folder = tmp_path_factory.mktemp("campaign")
    return folder, make_exported(folder)


@pytest.fixture(scope="module")
def influx(tmp_path_factory):
    with time_series.influxdb(tmp_path_factory.mktemp("influxdb")) as address:
        yield address


@pytest.fixture(scope="module")
def victoria(tmp_path_factory):
    with time_series.victoria_metrics(tmp_path_factory.mktemp("victoria")) as address:
        yield address


@pytest.fixture(scope="module")
def postgres():
    # Every pytest that starts takes the rights of other users from the root of its folders.
    with (
        TemporaryDirectory(prefix="llm-energy-postgresql-") as folder,
        time_series.postgresql(Path(folder)) as address,
        pytest.MonkeyPatch.context() as environment,
    ):
        environment.setenv("PGUSER", "postgres")
        environment.setenv("PGPASSWORD", PASSWORD)
        yield address


def integrated(times_s: list[float], values: list[float], duration_s: float, method: str) -> float:
    """Energy from 0 to `duration_s` of what was read back."""
    samples = Samples(tuple(times_s), tuple(values))
    if method == "counter":
        return samples.at(duration_s) - samples.at(0.0)
    energy = integrate(samples, 0.0, duration_s, update_period_s=None).joules
    assert energy is not None
    return energy


@pytest.mark.parametrize("method", QUANTITIES)
def test_joules_read_back_from_influxdb_are_those_of_the_file(campaign, influx, method):
    folder, results = campaign
    send_campaign(folder, f"influxdb://{influx}/energy")
    for result in results:
        where = f"\"cycle\" = '{result.cycle}'"
        select = f'SELECT "duration_s" FROM phases WHERE {where} AND "phase" = \'window\''
        ((start_ns, duration_s),) = influx_rows(influx, select)
        for device in DEVICES:
            select = f'SELECT "{QUANTITIES[method]}" FROM power WHERE {where}'
            rows = influx_rows(influx, f"{select} AND \"device\" = '{device.id}'")
            times_s = [(time_ns - start_ns) / 1e9 for time_ns, _ in rows]
            found = integrated(times_s, [value for _, value in rows], duration_s, method)
            assert found == pytest.approx(joules(folder, result, device, method), rel=1e-9)


@pytest.mark.parametrize("method", QUANTITIES)
def test_joules_read_back_from_victoria_metrics_cost_the_milliseconds(campaign, victoria, method):
    folder, results = campaign
    send_campaign(folder, f"victoriametrics://{victoria}")
    worst = 0.0
    for result in results:
        own = f'cycle="{result.cycle}"'
        window = victoria_series(victoria, f'phases_duration_s{{{own},phase="window"}}')
        ((_, (start_ms,), (duration_s,)),) = window
        for device in DEVICES:
            selector = f'power_{QUANTITIES[method]}{{{own},device="{device.id}"}}'
            ((_, times, values),) = victoria_series(victoria, selector)
            assert len(set(times)) == len(times)
            found = integrated([(t - start_ms) / 1e3 for t in times], values, duration_s, method)
            true = joules(folder, result, device, method)
            worst = max(worst, abs(found / true - 1))
    print(f"{method}: largest relative difference {worst:.2e}")
    assert worst < 5e-4


@pytest.mark.parametrize("method", QUANTITIES)
def test_joules_read_back_from_postgresql_are_those_of_the_file(campaign, postgres, method):
    import psycopg

    folder, results = campaign
    url = f"postgresql://{postgres}/energy"
    send_campaign(folder, url)
    with psycopg.connect(url) as connection:
        for result in results:
            ((number, start_ns, end_ns, energy),) = connection.execute(
                "SELECT id, window_start_monotonic_ns, window_end_monotonic_ns, energy_joules"
                " FROM llm_energy.results WHERE spec = %s AND cycle = %s",
                [result.spec_hash, result.cycle],
            ).fetchall()
            assert energy == result.energy.energy_joules
            for device in DEVICES:
                rows = connection.execute(
                    "SELECT monotonic_ns, value FROM llm_energy.power"
                    " WHERE result = %s AND device = %s AND quantity = %s ORDER BY monotonic_ns",
                    [number, device.id, QUANTITIES[method]],
                ).fetchall()
                times_s = [(time_ns - start_ns) / 1e9 for time_ns, _ in rows]
                duration_s = (end_ns - start_ns) / 1e9
                found = integrated(times_s, [value for _, value in rows], duration_s, method)
                assert found == pytest.approx(joules(folder, result, device, method), rel=1e-9)


SERVERS = {
    "influx": (
        "influxdb://{}/energy",
        contents.influx_content,
        contents.influx_drop,
        (line_servers, "BATCH_LINES"),
    ),
    "victoria": (
        "victoriametrics://{}",
        contents.victoria_content,
        contents.victoria_drop,
        (line_servers, "BATCH_LINES"),
    ),
    "postgres": (
        "postgresql://{}/energy",
        contents.postgres_content,
        contents.postgres_drop,
        (postgresql, "BATCH_ROWS"),
    ),
}


class StoppedError(Exception):
    """Ends an export between two batches."""


def interrupted_after(count: int):
    blocks = iter(range(count))

    @contextmanager
    def undisturbed() -> Iterator[None]:
        if next(blocks, None) is None:
            raise StoppedError
        yield

    return undisturbed


@pytest.mark.parametrize("name", SERVERS)
def test_an_export_is_resumed_and_twice_is_once(campaign, request, monkeypatch, name):
    folder, results = campaign
    address = request.getfixturevalue(name)
    form, content, drop, (module, batch) = SERVERS[name]
    url = form.format(address)
    send_campaign(folder, url)
    before = content(address)
    again = send_campaign(folder, url)
    assert (again.sent, again.before) == (0, len(results))
    assert content(address) == before

    drop(address)
    monkeypatch.setattr(module, batch, 500)
    for count in (2, 8, 4):
        monkeypatch.setattr(sending, "undisturbed", interrupted_after(count))
        with pytest.raises(StoppedError):
            send_campaign(folder, url)
    monkeypatch.setattr(sending, "undisturbed", nullcontext)
    last = send_campaign(folder, url)
    assert last.sent > 0
    assert content(address) == before


def test_timescaledb_makes_a_hypertable_where_it_is(campaign, postgres):
    """With a function of its name: Debian has no TimescaleDB."""
    import psycopg

    folder, _ = campaign
    with psycopg.connect(f"postgresql://{postgres}/postgres", autocommit=True) as connection:
        connection.execute("CREATE DATABASE timescale")
    url = f"postgresql://{postgres}/timescale"
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE made (called text, column_name text)")
        connection.execute(
            "CREATE FUNCTION create_hypertable(regclass, name) RETURNS void LANGUAGE sql AS"
            " 'INSERT INTO made VALUES ($1::text, $2)'"
        )
    send_campaign(folder, url)
    send_campaign(folder, url)
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT * FROM made").fetchall()
    assert rows == [("llm_energy.power", "time")]


def mistake(folder, url: str) -> str:
    with pytest.raises(ExportError) as caught:
        send_campaign(folder, url)
    text = str(caught.value)
    assert "\n" not in text
    assert PASSWORD not in text
    return text


@pytest.mark.parametrize(
    "form", ["influxdb://{}/energy", "influxdb2://{}/o/b", "postgresql://{}/e"]
)
def test_a_server_that_is_not_there_is_one_line(campaign, form):
    text = mistake(campaign[0], form.format(f"127.0.0.1:{time_series.free_port()}"))
    assert "Connection refused" in text


def test_a_wrong_database_is_one_line(campaign, influx, postgres):
    assert "database not found: nowhere" in mistake(campaign[0], f"influxdb://{influx}/nowhere")
    text = mistake(campaign[0], f"postgresql://{postgres}/nowhere")
    assert 'database "nowhere" does not exist' in text


def test_credentials_come_from_the_environment(campaign, postgres, tmp_path, monkeypatch):
    folder, results = campaign
    with time_series.influxdb(tmp_path, users=True) as address:
        url = f"influxdb://{address}/energy"
        assert "INFLUX_USERNAME and INFLUX_PASSWORD" in mistake(folder, url)
        monkeypatch.setenv("INFLUX_USERNAME", "admin")
        monkeypatch.setenv("INFLUX_PASSWORD", PASSWORD + "x")
        assert "refuses the credentials (HTTP 401)" in mistake(folder, url)
        monkeypatch.setenv("INFLUX_PASSWORD", PASSWORD)
        assert send_campaign(folder, url).sent == len(results)
    monkeypatch.setenv("PGPASSWORD", "wrong")
    text = mistake(folder, f"postgresql://{postgres}/energy")
    assert "password authentication failed" in text
    assert "PGUSER and PGPASSWORD in the environment" in text


def test_points_that_a_server_does_not_keep_are_no_success(campaign, tmp_path):
    with time_series.victoria_metrics(tmp_path, "-retentionPeriod=1d") as address:
        assert "-retentionPeriod" in mistake(campaign[0], f"victoriametrics://{address}")
