"""The protocol of `/api/v2/write` with a stand-in, which no real InfluxDB 2 or 3 confirmed; and how
a server that is busy, or a host that measures, is waited for."""

import gc
import json
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.llm_energy.export.made_campaign import make_exported

from llm_energy.export import line_servers, sending
from llm_energy.export.channels import measured
from llm_energy.export.line_protocol import lines
from llm_energy.export.sending import send_campaign
from llm_energy.export.series_columns import SeriesColumns
from llm_energy.export.servers import ExportError
from llm_energy.system import locks

TOKEN = "MarkerOfATokenThatNoFileMayHold"


@dataclass
class StandIn:
    """Answers as InfluxDB's documentation of `/api/v2/write` has it."""

    address: str = ""
    points: dict[str, None] = field(default_factory=dict)
    """Points by series, field and time, so that the same ones overwrite."""
    requests: list[int] = field(default_factory=list)
    """Points in each."""
    busy: list[tuple[int, str | None]] = field(default_factory=list)
    """Statuses that the next requests get, with `Retry-After`."""
    queries: list[dict[str, list[str]]] = field(default_factory=list)


@pytest.fixture
def stand_in():
    state = StandIn()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            parts = urlsplit(self.path)
            query = parse_qs(parts.query)
            state.queries.append(query)
            if parts.path != "/api/v2/write":
                return self.answer(404, "not found", "path not found")
            if self.headers.get("Authorization") != f"Token {TOKEN}":
                return self.answer(401, "unauthorized", "unauthorized access")
            if query.get("bucket") != ["energy"]:
                return self.answer(404, "not found", f'bucket "{query["bucket"][0]}" not found')
            if state.busy:
                status, after = state.busy.pop(0)
                return self.answer(status, "unavailable", "busy", after)
            found = body.splitlines()
            state.requests.append(len(found))
            state.points |= dict.fromkeys(found)
            return self.answer(204)

        def answer(self, status, code="", message="", after=None):
            body = json.dumps({"code": code, "message": message}).encode() if code else b""
            self.send_response(status)
            if after:
                self.send_header("Retry-After", after)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    state.address = f"127.0.0.1:{server.server_port}"
    yield state
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def own_locks(tmp_path, monkeypatch):
    """Measurements of other tests on this host are not waited for."""
    folder = tmp_path / "lock"
    folder.mkdir()
    folder.chmod(0o1777)
    monkeypatch.setattr(locks, "DEVICE_FOLDERS", (folder,))
    return folder


@pytest.fixture
def campaign(tmp_path, monkeypatch):
    make_exported(tmp_path / "campaign")
    monkeypatch.setenv("INFLUX_TOKEN", TOKEN)
    return tmp_path / "campaign"


def test_every_point_is_written_once_to_the_bucket(campaign, stand_in, monkeypatch):
    monkeypatch.setattr(line_servers, "BATCH_LINES", 1000)
    url = f"influxdb2://{stand_in.address}/team/energy"
    assert str(send_campaign(campaign, url)) == f"3 measurements sent to {url}, 0 there before"
    expected = [line for each in measured(campaign) for line in lines(each)]
    assert list(stand_in.points) == expected
    assert max(stand_in.requests) == 1000
    plain = {"org": ["team"], "bucket": ["energy"], "precision": ["ns"]}
    assert stand_in.queries == [plain] * len(stand_in.requests)
    send_campaign(campaign, url)
    assert list(stand_in.points) == expected


def test_one_power_series_at_a_time_is_in_memory(campaign, stand_in, monkeypatch):
    def in_memory():
        gc.collect()
        return sum(isinstance(each, SeriesColumns) for each in gc.get_objects())

    counts, before = [], in_memory()

    @contextmanager
    def counting():
        counts.append(in_memory() - before)
        yield

    monkeypatch.setattr(sending, "undisturbed", counting)
    send_campaign(campaign, f"influxdb2://{stand_in.address}/team/energy")
    assert max(counts) == 1


def test_a_busy_server_is_waited_for_as_it_says(campaign, stand_in, monkeypatch):
    waits = []
    monkeypatch.setattr(line_servers.time, "sleep", waits.append)
    stand_in.busy = [(503, None), (503, None), (429, "7")]
    send_campaign(campaign, f"influxdb2://{stand_in.address}/team/energy")
    assert waits == [0.5, 1.0, 7]
    assert len(stand_in.points) == sum(1 for each in measured(campaign) for _ in lines(each))


def test_a_server_that_stays_busy_is_one_line(campaign, stand_in, monkeypatch):
    waits = []
    monkeypatch.setattr(line_servers.time, "sleep", waits.append)
    stand_in.busy = [(429, "86400")] * 5
    with pytest.raises(ExportError, match=r"too busy \(HTTP 429, for 300 s\): start the same"):
        send_campaign(campaign, f"influxdb2://{stand_in.address}/team/energy")
    assert waits == [300.0]


@pytest.mark.parametrize(
    ("token", "bucket", "message"),
    [
        ("wrong", "energy", r"refuses the credentials \(HTTP 401\): set INFLUX_TOKEN"),
        ("", "energy", r"refuses the credentials \(HTTP 401\): set INFLUX_TOKEN"),
        (TOKEN, "nowhere", r'refuses \(HTTP 404\): .*bucket "nowhere" not found|not found'),
    ],
)
def test_mistakes_are_one_line_without_the_token(
    campaign, stand_in, monkeypatch, token, bucket, message
):
    monkeypatch.setenv("INFLUX_TOKEN", token)
    with pytest.raises(ExportError, match=message) as caught:
        send_campaign(campaign, f"influxdb2://{stand_in.address}/team/{bucket}")
    assert "\n" not in str(caught.value)
    assert TOKEN not in str(caught.value)


def test_a_campaign_without_results_is_one_line(stand_in, tmp_path):
    with pytest.raises(ExportError, match="nothing is measured yet"):
        send_campaign(tmp_path / "nap", f"influxdb2://{stand_in.address}/team/energy")


@contextmanager
def measuring(folder: Path):
    """Another process holds the lock of the CPU, as a measurement does."""
    code = (
        "import sys, time; sys.path.insert(0, 'scripts'); from pathlib import Path;"
        "from llm_energy.system import locks;"
        f"locks.DEVICE_FOLDERS = (Path({str(folder)!r}),);"
        "lock = locks.devices(['cpu']); lock.__enter__(); print('held', flush=True);"
        "sys.stdin.read()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-c", code], **pipes)
    assert process.stdout.readline() == "held\n"
    yield process
    process.stdin.close()
    process.wait()


def test_nothing_is_written_while_this_host_measures(campaign, own_locks, stand_in, capsys):
    url, waits = f"influxdb2://{stand_in.address}/team/energy", threading.Event()
    announce = sending._announce

    def noted(holder):
        announce(holder)
        waits.set()

    with pytest.MonkeyPatch.context() as patched, measuring(own_locks) as process:
        patched.setattr(sending, "_announce", noted)
        export = threading.Thread(target=send_campaign, args=(campaign, url))
        export.start()
        assert waits.wait(60)
        assert stand_in.requests == []
        process.stdin.close()
        export.join(60)
    assert sum(stand_in.requests) > 0
    assert f"Waiting for the measurement of process {process.pid} of " in capsys.readouterr().err
