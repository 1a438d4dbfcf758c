"""Batteries: power while they discharge, and nothing at any other time."""

import pytest
from tests.llm_energy.power.made_hwmon import battery

from llm_energy.power.power_supply import battery_sensors
from llm_energy.power.sources import open_meters
from llm_energy.power.sysfs import SysfsMeter


def read(classes):
    meter = SysfsMeter.open(battery_sensors(classes / "power_supply"))
    return None if meter is None else meter.read(meter.devices[0], slow=False)


@pytest.mark.parametrize(
    "files",
    [
        {"power_now": 14_500_000, "current_now": 1},
        {"current_now": 1_250_000, "voltage_now": 11_600_000},
        {"current_now": -1_250_000, "voltage_now": 11_600_000},
        {"power_now": -14_500_000},
    ],
)
def test_a_battery_gives_power_in_watts_whatever_its_sign(tmp_path, files):
    battery(tmp_path, **files)
    assert read(tmp_path).instant_power_watts == pytest.approx(14.5)


@pytest.mark.parametrize("status", ["Charging", "Full", "Not charging", "Unknown", ""])
def test_a_battery_that_does_not_discharge_says_nothing_of_the_computer(tmp_path, status):
    battery(tmp_path, power_now=14_500_000, status=status)
    reading = read(tmp_path)
    assert reading.instant_power_watts is None
    assert reading.unavailable == {"instant_power_watts": "not_discharging"}


def test_a_battery_whose_state_cannot_be_read_says_nothing_either(tmp_path):
    (battery(tmp_path, power_now=14_500_000) / "status").unlink()
    assert read(tmp_path).unavailable == {"instant_power_watts": "not_discharging"}


@pytest.mark.parametrize("content", ["", "--5", "much", "9" * 5000])
def test_what_is_no_number_is_no_power(tmp_path, content):
    (battery(tmp_path, power_now=1) / "power_now").write_text(content)
    assert read(tmp_path).unavailable == {"instant_power_watts": "hwmon_unreadable"}


def test_mains_and_the_batteries_of_mice_are_no_devices(tmp_path):
    battery(tmp_path, "AC", type="Mains", power_now=1)
    battery(tmp_path, "hidpp_battery_0", scope="Device", power_now=1)
    battery(tmp_path, "BAT1")  # without power and current
    assert read(tmp_path) is None


def test_each_battery_is_a_device_of_its_own(tmp_path):
    battery(tmp_path, "BAT0", power_now=5_000_000, manufacturer="Maker")
    battery(tmp_path, "BAT1", power_now=6_000_000)
    (meter,) = open_meters(cpu_model="Made CPU", gpus=False, classes=tmp_path)
    found = [(d.id, d.scope, d.model) for d in meter.devices]
    assert found == [
        ("power_supply:BAT0", "battery", "Maker Made"),
        ("power_supply:BAT1", "battery", "Made"),
    ]
    meter.close()
