"""A campaign that names a time-series server: a run sends what it measured when it ends."""

import tarfile

import pytest

from tests.integration.workflow import CAMPAIGN
from tests.time_series import PASSWORD, free_port, got_json, influxdb

pytestmark = [pytest.mark.integration, pytest.mark.long]


def count(address: str) -> int:
    query = 'SELECT count("completed") FROM results'
    login = {"u": "admin", "p": PASSWORD}
    content = got_json(address, "/query", db="energy", q=query, **login)
    return content["results"][0]["series"][0]["values"][0][1]


def test_a_run_sends_what_it_measured_and_no_file_holds_the_password(ready, tmp_path):
    tree, login = ready, {"INFLUX_USERNAME": "admin", "INFLUX_PASSWORD": PASSWORD}
    with influxdb(tmp_path, users=True) as address:
        url = f"influxdb://{address}/energy"
        tree.write_campaign(CAMPAIGN | {"export_to": url})
        printed = tree.run(check=True, environment=login).stdout
        assert f"4 measurements sent to {url}, 0 there before\n" in printed
        assert count(address) == 4
        again = tree.run("export", check=True, environment=login).stdout
        assert f"0 measurements sent to {url}, 4 there before\n" in again
        refused = tree.run("export").stdout
        assert f"export: {url} refuses the credentials (HTTP 401): set INFLUX_USERNAME" in refused
        tree.run("archive", check=True, environment=login)
    files = [
        path for path in tree.folder.rglob("*") if path.is_file() and ".venv" not in path.parts
    ]
    assert [path for path in files if PASSWORD.encode() in path.read_bytes()] == []
    with tarfile.open(tree.folder / "results/nap/archive/nap.tar.gz") as archive:
        names = archive.getnames()
        campaign = archive.extractfile("nap/campaign.yaml").read()
    assert b"export_to" not in campaign
    assert not any(name.endswith("status.prom") for name in names)


def test_a_server_that_is_not_there_costs_a_run_nothing(ready):
    url = f"postgresql://127.0.0.1:{free_port()}/energy"
    ready.write_campaign(CAMPAIGN | {"export_to": url})
    printed = ready.run(check=True).stdout
    assert f"Not exported: {url} cannot be used: " in printed
    assert "Traceback" not in printed
    assert len(ready.results()) == 4
