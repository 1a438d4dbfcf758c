"""The energy of a chassis beside other devices, with a known truth."""

import dataclasses

import pytest
from tests.llm_energy.power.made_power import GPU, phases, reading

from llm_energy.power.accounting import account_energy
from llm_energy.power.chassis import NO_POWER, REFUSED, UNREACHABLE
from llm_energy.power.chassis_meter import DEVICE, PERIOD_S
from llm_energy.power.meter import Device
from llm_energy.power.sensor import Sensor
from llm_energy.power.series import Series

CHASSIS = Device(id=DEVICE, model="Made", scope="chassis", own_period_s=PERIOD_S)


LOAD = phases(load=(1, 3), idle=(4, 34), warmup=(36, 44), window=(45.0, 105.0), tail=(105.0, 107))


def watts_at(time_s: float) -> float:
    """300 W at rest; in the load a triangle around 1200 W: 72,000 J in the window of 60 s."""
    return 300.0 if time_s < 35.0 else 1150.0 + 100.0 * abs((time_s - 45.0) / 10.0 % 2.0 - 1.0)


def read_every_second(update_s=1.0, *, device=CHASSIS, end_s=108, missing=lambda _: None):
    """Readings of a chassis that looks at its sensor every `update_s`, of a GPU beside it."""
    readings = []
    for second in range(end_s):
        seen_at_s = second - second % update_s
        reason = missing(second)
        readings.append(
            reading(
                second + 0.3,
                device=device.id,
                read_s=0.4,
                instant_power_watts=None if reason else watts_at(seen_at_s + 0.3),
                unavailable={"instant_power_watts": reason} if reason else {},
            )
        )
        readings += [
            reading(second + tenth / 10, instant_power_watts=0.5 * watts_at(second + tenth / 10))
            for tenth in range(10)
        ]
    readings.sort(key=lambda each: each.monotonic_s)
    return Series((GPU, device), tuple(readings), 10.0)


def chassis_of(series, plan=LOAD):
    energy = account_energy(series, plan, None, method="integrated_instant").energy
    gpu, chassis = energy.devices
    assert gpu.counted
    assert not chassis.counted
    assert energy.energy_joules == gpu.energy_joules
    assert energy.scope == "gpu_board"
    return chassis


def test_its_energy_is_known_and_never_added():
    chassis = chassis_of(read_every_second())
    assert chassis.energy_joules == pytest.approx(72_000.0, rel=0.01)
    assert chassis.loaded_idle_power_watts == pytest.approx(300.0)
    assert (chassis.scope, chassis.update_period_s) == ("chassis", 1.0)


def test_its_power_is_integrated_whatever_the_source_of_the_campaign():
    energy = account_energy(read_every_second(), LOAD, None, method="counter").energy
    assert energy.devices[1].energy_joules == pytest.approx(72_000.0, rel=0.01)


def test_a_window_shorter_than_ten_updates_has_no_energy():
    assert chassis_of(read_every_second(5.0)).energy_joules == pytest.approx(72_000.0, rel=0.05)
    slow = chassis_of(read_every_second(7.0))
    assert (slow.energy_joules, slow.reason) == (None, "few_updates")
    assert slow.integrated_instant_joules is None
    assert slow.update_period_s == 7.0


def test_the_shorter_of_the_two_periods_that_were_seen_counts():
    """Power that does not change hides updates: each period that is seen may be too long."""
    device = dataclasses.replace(CHASSIS, power_update_s=2.0)
    assert chassis_of(read_every_second(7.0, device=device)).energy_joules is not None


def test_a_value_that_hardly_changes_does_not_show_its_period():
    series = read_every_second(100.0)  # 300 W, and one value in the load
    chassis = chassis_of(series)
    assert (chassis.energy_joules, chassis.reason) == (None, "few_updates")
    stuck = read_every_second(1000.0)
    assert chassis_of(stuck).reason == "power_stuck"


@pytest.mark.parametrize(
    ("missing", "reason"),
    [
        (lambda t: "timeout" if t > 80 else None, "timeout"),
        (lambda _: REFUSED, REFUSED),
        (lambda t: NO_POWER if t < 60 else None, NO_POWER),
        (lambda t: UNREACHABLE if 60 < t < 80 else None, "sampling_gap"),
    ],
)
def test_one_that_stops_answering_costs_its_own_energy_only(missing, reason):
    chassis = chassis_of(read_every_second(missing=missing))
    assert (chassis.energy_joules, chassis.reason) == (None, reason)


def test_two_lost_answers_cost_nothing():
    chassis = chassis_of(read_every_second(missing=lambda t: "timeout" if t in (60, 61) else None))
    assert chassis.energy_joules == pytest.approx(72_000.0, rel=0.01)


def test_the_slowest_update_of_other_sensors_is_no_bound_for_it():
    series = read_every_second(5.0)
    assert Sensor(CHASSIS, series).update_period_s == 5.0


def test_the_chassis_is_the_host_of_a_result_and_without_it_nothing_else_is():
    energy = account_energy(read_every_second(), LOAD, None, method="integrated_instant").energy
    host, (_, chassis) = energy.host, energy.devices
    assert (host.scope, host.devices, host.reason) == ("chassis", [DEVICE], None)
    assert host.energy_joules == chassis.energy_joules
    energy = account_energy(read_every_second(7.0), LOAD, None, method="integrated_instant").energy
    assert (energy.host.energy_joules, energy.host.reason) == (None, "few_updates")
