"""A chassis beside other devices: read at its own rate, never waited for, never part of a sum."""

import time
from collections.abc import Iterator

import pytest
from tests.llm_energy.power.made_power import GPU, reading
from tests.redfish_server import PASSWORD, USER, Faults, MadeChassis, RedfishServer, updating
from tests.waiting import wait_until

from llm_energy.power import chassis_meter
from llm_energy.power.chassis import NO_POWER, REFUSED, UNREACHABLE, HostPowerSource
from llm_energy.power.chassis_meter import DEVICE, PERIOD_S, ChassisMeter
from llm_energy.power.meter import OTHER_HOST, SHARED_HOST
from llm_energy.power.sampler import Sampler
from llm_energy.power.sensor_probe import probe
from llm_energy.power.series import Series
from llm_energy.power.sources import campaign_source, open_meters, with_known_periods


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
