"""The state of a campaign for Prometheus: what is not known has no line and is never 0."""

import subprocess
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from tests.time_series import command, free_port, got_json, running

from llm_energy.runs.campaign_status import (
    BackendHealth,
    CampaignStatus,
    LastResult,
    prometheus_text,
    write_status,
)

LAST = LastResult("batch=1", 2, "2026-11-30T06:00:00.000+00:00", 88.5, 0.125, None)
STATUS = CampaignStatus(
    campaign="nap",
    written="2026-11-30T06:00:01.500+00:00",
    run_active=True,
    measurements={"done": 3, "failed": 1, "running": 1, "pending": 7},
    time_left_s=84.0,
    last=LAST,
    backends={"sleep": BackendHealth(False, 2)},
    recoveries={"backend_restarted": 2},
)


def test_every_number_has_its_line():
    lines = [line for line in prometheus_text(STATUS).splitlines() if line[0] != "#"]
    assert lines == [
        'llm_energy_measurements{campaign="nap",state="done"} 3',
        'llm_energy_measurements{campaign="nap",state="failed"} 1',
        'llm_energy_measurements{campaign="nap",state="running"} 1',
        'llm_energy_measurements{campaign="nap",state="pending"} 7',
        'llm_energy_run_active{campaign="nap"} 1.0',
        'llm_energy_time_left_seconds{campaign="nap"} 84.0',
        'llm_energy_status_timestamp_seconds{campaign="nap"} 1796018401.5',
        'llm_energy_last_result_joules_per_output_token{campaign="nap",experiment="batch=1"} 0.125',
        'llm_energy_last_result_output_tokens_per_second{campaign="nap",experiment="batch=1"} 88.5',
        'llm_energy_last_result_timestamp_seconds{campaign="nap",experiment="batch=1"} '
        "1796018400.0",
        'llm_energy_backend_healthy{campaign="nap",backend="sleep"} 0.0',
        'llm_energy_backend_failures_in_a_row{campaign="nap",backend="sleep"} 2',
        'llm_energy_recoveries_total{campaign="nap",kind="backend_restarted"} 2',
    ]


def test_an_energy_that_is_not_known_has_no_line():
    last = LastResult("e", 1, LAST.finished, 88.5, None, "no_meter")
    text = prometheus_text(CampaignStatus("nap", STATUS.written, False, {}, 0.0, last))
    assert "joules" not in text
    assert "backend" not in text


def test_signs_that_end_a_label_are_escaped():
    last = LastResult('a"b\\c\nd', 1, LAST.finished, 1.0, 1.0, None)
    text = prometheus_text(CampaignStatus("nap", STATUS.written, True, {}, 0.0, last))
    assert r'experiment="a\"b\\c\nd"' in text


@pytest.mark.long
def test_promtool_has_nothing_to_say():
    program = command("promtool", "prometheus")
    checked = subprocess.run(
        [program, "check", "metrics"],
        input=prometheus_text(STATUS),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


@pytest.mark.long
def test_prometheus_scrapes_the_file(tmp_path):
    write_status(tmp_path / "served", STATUS)

    class Handler(SimpleHTTPRequestHandler):
        def guess_type(self, _path):
            return "text/plain; version=0.0.4"

        def log_message(self, *_):
            pass

    files = ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Handler, directory=str(tmp_path / "served"))
    )
    threading.Thread(target=files.serve_forever, daemon=True).start()
    (tmp_path / "prometheus.yml").write_text(f"""
scrape_configs:
  - job_name: campaigns
    scrape_interval: 1s
    metrics_path: /status.prom
    static_configs: [{{targets: ["127.0.0.1:{files.server_port}"]}}]
""")
    address = f"127.0.0.1:{free_port()}"
    arguments = [
        command("prometheus", "prometheus"),
        f"--config.file={tmp_path}/prometheus.yml",
        f"--storage.tsdb.path={tmp_path}/data",
        f"--web.listen-address={address}",
    ]
    query, found = 'llm_energy_measurements{campaign="nap"}', []
    try:
        with running(arguments, tmp_path, f"http://{address}/-/ready"):
            end = time.monotonic() + 60
            while not found and time.monotonic() < end:
                time.sleep(0.2)
                found = got_json(address, "/api/v1/query", query=query)["data"]["result"]
            last = got_json(
                address, "/api/v1/query", query="llm_energy_last_result_joules_per_output_token"
            )["data"]["result"]
    finally:
        files.shutdown()
        files.server_close()
    states = {each["metric"]["state"]: float(each["value"][1]) for each in found}
    assert states == STATUS.measurements
    assert [float(each["value"][1]) for each in last] == [0.125]
