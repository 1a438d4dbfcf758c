"""Preflight on sensors of the host: what there is, in which scope, and what it reads."""

from tests.llm_energy.power.made_hwmon import acpi, battery, jetson

from llm_energy.preflight.host_sensors import host_sensor_finding
from llm_energy.results.codes import ENERGY_REASONS


def test_each_sensor_is_listed_with_its_scope_and_power(tmp_path):
    classes = tmp_path / "sys" / "class"
    acpi(classes, 4, 300.0, label="Grace Power Socket 0")
    jetson(classes)
    found = host_sensor_finding(classes)
    assert found.status == "ok"
    assert "VDD_IN (board) 10 W; VDD_CPU_GPU_CV (rail) 4.5 W" in found.message
    assert "Grace Power Socket 0 (cpu_socket) 300 W" in found.message
    grace = found.facts["sensors"][-1]
    assert (grace["scope"], grace["watts"], grace["reason"]) == ("cpu_socket", 300.0, None)


def test_a_battery_beside_its_charger_is_listed_with_the_reason(tmp_path):
    battery(tmp_path, power_now=1, status="Full")
    found = host_sensor_finding(tmp_path)
    assert found.status == "note"
    reason = ENERGY_REASONS["not_discharging"]
    assert found.message == f"BAT0 (battery) not_discharging. not_discharging: {reason}"


def test_a_machine_without_any_says_so(tmp_path):
    found = host_sensor_finding(tmp_path)
    assert (found.status, found.facts) == ("note", {"sensors": []})
    assert str(tmp_path) in found.message
