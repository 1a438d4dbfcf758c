"""The controller of the machine in preflight: its power now, or what is wrong in one line."""

import copy

import pytest
from tests.llm_energy.make_campaigns import BASE, load, make_checkout
from tests.redfish_server import PASSWORD, USER, MadeChassis, RedfishServer, updating

from llm_energy.preflight import chassis_findings as module
from llm_energy.preflight.chassis_findings import chassis_findings


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("REDFISH_USERNAME", USER)
    monkeypatch.setenv("REDFISH_PASSWORD", PASSWORD)
    monkeypatch.setattr(module, "PERIOD_S", 0.1)
    monkeypatch.setattr(module, "WATCH_S", 1.0)
    made = RedfishServer()
    yield made
    made.close()


def found(tmp_path, declared, **changes):
    root = tmp_path / "checkout"
    if not root.exists():
        make_checkout(root)
    own = {} if declared is None else {"host_power": declared}
    measurement = own | changes.pop("measurement", {})
    campaign = copy.deepcopy(BASE) | {"measurement": measurement} | changes
    return list(chassis_findings(load(root, campaign)))


def test_without_one_nothing_is_said(tmp_path):
    assert found(tmp_path, None) == []


def test_its_power_now(server, tmp_path):
    (finding,) = found(tmp_path, {"redfish": server.url})
    assert finding.status == "ok"
    assert finding.message.startswith("Contoso 3500RX (1U), EnvironmentMetrics, draws 374 W; ")
    assert "its value hardly changed: an energy needs a window of 10 of its updates" in (
        finding.message
    )
    assert finding.facts["watts"] == 374.0
    assert finding.facts["update_period_s"] is None


def test_a_window_that_is_too_short_for_its_updates_is_a_warning(server, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "WATCH_S", 60.0)
    server.chassis = {"1U": MadeChassis(updating(lambda time_s: 300.0 + time_s % 90.0, 0.5))}
    (finding,) = found(tmp_path, {"redfish": server.url})
    assert finding.facts["update_period_s"] == pytest.approx(0.5, abs=0.2)
    assert finding.status == "warning"  # 3 s
    assert "windows of 3 s are too short for its energy: set `measurement.minimum" in (
        finding.message
    )
    long = {"minimum_duration_s": 60.0}
    (finding,) = found(tmp_path, {"redfish": server.url}, measurement=long)
    assert finding.status == "ok"
    assert "its value changes about every 0." in finding.message


def test_what_is_wrong_is_a_warning_for_the_run_goes_on(server, tmp_path, monkeypatch):
    for chassis, words in (
        ({"1U": MadeChassis(watts=None)}, "reports no power of 1U"),
        ({"A": MadeChassis(), "B": MadeChassis()}, "several chassis, A, B: name the one"),
    ):
        server.chassis = chassis
        (finding,) = found(tmp_path, {"redfish": server.url})
        assert finding.status == "warning"
        assert words in finding.message
    monkeypatch.setenv("REDFISH_PASSWORD", "wrong")
    (finding,) = found(tmp_path, {"redfish": server.url})
    assert "refuses access (401)" in finding.message
    monkeypatch.setenv("PATH", "/nonexistent")
    (finding,) = found(tmp_path, "ipmi")
    assert "install the package ipmitool; without it, every chassis energy is empty" in (
        finding.message
    )


def test_with_sets_side_by_side_it_stays_empty(server, tmp_path):
    on_gpus = {"device": "gpu", "minimum_duration_s": 10.0}
    findings = found(
        tmp_path, {"redfish": server.url}, measurement=on_gpus, parallel={"devices": "all"}
    )
    assert [finding.status for finding in findings] == ["ok", "warning"]
    assert "stays empty with `parallel`" in findings[1].message
