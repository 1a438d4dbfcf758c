"""A chassis beside other devices: read at its own rate, never waited for, never part of a sum."""

import dataclasses
import time
from collections.abc import Iterator

import pytest
from tests.llm_energy.power.made_power import GPU, phases, reading
from tests.redfish_server import PASSWORD, USER, Faults, MadeChassis, RedfishServer, updating
from tests.waiting import wait_until

from llm_energy.power import chassis_meter
from llm_energy.power.accounting import account_energy
from llm_energy.power.chassis import NO_POWER, REFUSED, UNREACHABLE, HostPowerSource
from llm_energy.power.chassis_meter import DEVICE, PERIOD_S, ChassisMeter
from llm_energy.power.meter import OTHER_HOST, SHARED_HOST, Device
from llm_energy.power.sampler import Sampler
from llm_energy.power.sensor import Sensor
from llm_energy.power.sensor_probe import probe
from llm_energy.power.series import Series
from llm_energy.power.sources import campaign_source, open_meters, with_known_periods

CHASSIS = Device(id=DEVICE, model="Made", scope="chassis", own_period_s=PERIOD_S)


class FastMeter:
    """A GPU that answers at once."""

    devices = (GPU,)

    def read(self, _device, *, slow):  # noqa: ARG002 - the interface's names
        return reading(time.monotonic(), instant_power_watts=400.0)

    def close(self):
        pass


@pytest.fixture(autouse=True)
def credentials(monkeypatch):
    monkeypatch.setenv("REDFISH_USERNAME", USER)
    monkeypatch.setenv("REDFISH_PASSWORD", PASSWORD)


@pytest.fixture
def server() -> Iterator[RedfishServer]:
    made = RedfishServer()
    yield made
    made.close()


@pytest.fixture
def meter(server) -> Iterator[ChassisMeter]:
    found = ChassisMeter(HostPowerSource(redfish=server.url))
    yield found
    found.close()


def unavailable(meter):
    found = meter.read(meter.devices[0], slow=False)
    return set(found.unavailable.values())


def test_it_is_a_device_of_its_own_scope_and_rate(meter):
    (device,) = meter.devices
    assert (device.id, device.model, device.label) == ("bmc", "Contoso 3500RX", "1U")
    assert (device.scope, device.own_period_s) == ("chassis", PERIOD_S)
    assert meter.read(device, slow=True).instant_power_watts == 374.0
    assert unavailable(meter) == {"not_supported"}  # the counter of energy


def test_a_controller_that_stops_answering_says_so_and_may_come_back(server, meter):
    server.faults.status = 503
    assert unavailable(meter) == {UNREACHABLE}
    server.faults.status = None
    assert unavailable(meter) == {"not_supported"}
    server.chassis = {"1U": MadeChassis(watts=lambda: None)}
    assert unavailable(meter) == {NO_POWER}
    server.chassis = {"1U": MadeChassis(watts=lambda: 0.0)}  # which no computer draws
    assert unavailable(meter) == {NO_POWER}


def test_an_answer_that_does_not_come_in_time_says_so(server, meter, monkeypatch):
    with monkeypatch.context() as short:
        short.setattr(chassis_meter, "READ_DEADLINE_S", 0.2)
        server.faults.gate.clear()
        assert unavailable(meter) == {"timeout"}
    server.faults.gate.set()
    while (found := unavailable(meter)) == {"timeout"}:
        time.sleep(0.01)
    assert found == {"not_supported"}


def test_one_that_does_not_answer_in_time_at_first_is_named(server, monkeypatch, caplog):
    monkeypatch.setattr(chassis_meter, "OPEN_DEADLINE_S", 0.1)
    server.faults.gate.clear()
    ChassisMeter(HostPowerSource(redfish=server.url)).close()
    server.faults.gate.set()
    assert "the chassis is not metered: no answer in time" in caplog.text


def test_one_that_was_not_there_at_first_is_a_device_all_the_same(server):
    server.faults.status = 503
    meter = ChassisMeter(HostPowerSource(redfish=server.url))
    assert meter.devices[0].model == "unknown chassis"
    assert unavailable(meter) == {UNREACHABLE}
    server.faults.status = None
    assert unavailable(meter) == {"not_supported"}
    meter.close()


@pytest.mark.parametrize(
    "faults", [{"body": b"<html>starting</html>"}, {"body": b"[]"}, {"status": 429}]
)
def test_one_that_answers_garbage_at_first_is_asked_again(server, faults):
    """Controllers that start do so, and a measurement may last for hours."""
    server.faults = Faults(**faults)
    meter = ChassisMeter(HostPowerSource(redfish=server.url))
    assert unavailable(meter) == {UNREACHABLE}
    server.faults = Faults()
    assert unavailable(meter) == {"not_supported"}
    server.faults = Faults(**faults)
    assert unavailable(meter) == {UNREACHABLE}
    meter.close()


def test_a_refused_password_is_tried_once(server, monkeypatch, caplog):
    """More tries would lock the account on many controllers."""
    monkeypatch.setenv("REDFISH_PASSWORD", "not-the-password")
    meter = ChassisMeter(HostPowerSource(redfish=server.url))
    for _ in range(3):
        assert unavailable(meter) == {REFUSED}
    meter.close()
    assert len(server.paths) == 1
    assert "refuses access (401)" in caplog.text
    assert "not-the-password" not in caplog.text


@pytest.mark.parametrize("shared", [True, False])
def test_where_its_energy_would_be_nobodys_it_is_left_alone(server, tmp_path, shared):
    """Beside other measurements of the host, and where another host may have the address."""
    source = HostPowerSource(redfish=server.url, elsewhere=not shared)
    meters = open_meters(
        cpu_model="", gpus=False, shared=shared, classes=tmp_path, host_power=source
    )
    (meter,) = meters
    assert meter.devices[0].refusal == (SHARED_HOST if shared else OTHER_HOST)
    assert probe(meters, duration_s=0.1) == {}
    with Sampler([meter], rate_hz=10.0) as sampler:
        pass
    assert sampler.series().readings == ()
    assert server.paths == []


def test_how_slowly_it_answers_is_nothing_to_other_devices(server, meter):
    server.faults.gate.clear()
    with Sampler([FastMeter(), meter], rate_hz=50.0) as sampler:
        wait_until(lambda: len(sampler.series().readings) > 20, what="the GPU is read 20 times")
        early = sampler.series()
        server.faults.gate.set()
        wait_until(
            lambda: DEVICE in sampler.series().by_device, what="the chassis has been read once"
        )
        ended_s = time.monotonic()
    series = sampler.series()
    assert {reading.device for reading in early.readings} == {GPU.id}
    times = [reading.monotonic_s for reading in series.readings]
    assert times == sorted(times)
    power = series.samples(meter.devices[0], "instant_power_watts")
    assert set(power.values) == {374.0}
    assert power.times_s[-1] > ended_s  # a last reading, so that the window lies inside
    first, last = series.covered()
    assert first < early.readings[-1].monotonic_s  # by the GPU alone
    assert last > ended_s


def test_one_that_gave_nothing_does_not_hold_up_the_end(server, meter):
    server.faults.status = 503
    with Sampler([meter], rate_hz=50.0) as sampler:
        while not sampler.series().readings:
            time.sleep(0.01)
        asked = len(server.paths)
    assert len(server.paths) <= asked + 1  # one that was due meanwhile


def test_the_probe_finds_how_often_the_value_changes(server, tmp_path, monkeypatch):
    monkeypatch.setattr(chassis_meter, "PERIOD_S", 0.1)
    started_s = time.monotonic()
    server.chassis = {"1U": MadeChassis(updating(lambda t: 300.0 + t - started_s, 0.5))}
    meter = ChassisMeter(HostPowerSource(redfish=server.url))
    meters = [FastMeter(), meter]
    _, abilities = campaign_source(tmp_path, meters, FastMeter.devices, lock=tmp_path / "lock")
    period_s = abilities[DEVICE]["fields"]["instant_power_watts"]["update_period_s"]
    assert 0.3 <= period_s <= 5.0  # 0.5 s; a busy machine misses changes, and finds none too many
    asked = len(server.paths)
    campaign_source(tmp_path, meters, FastMeter.devices, lock=tmp_path / "lock")
    assert len(server.paths) == asked  # once for the campaign
    series = with_known_periods(Series(meter.devices, (), 10.0), abilities)
    assert series.devices[0].power_update_s == period_s
    meter.close()


# --- energy, with a known truth

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
