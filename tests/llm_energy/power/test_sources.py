"""The source of a campaign, on simulated GPUs."""

import json

import pytest
from tests.nvml_simulator.scenario import NOT_SUPPORTED, Fault, Gpu, constant, with_uuid

from llm_energy.power.nvml import NvmlMeter
from llm_energy.power.sources import campaign_source, probe, read_sensors

NO_COUNTER = (Fault("counter", NOT_SUPPORTED),)
NO_INSTANT = (Fault("instant", NOT_SUPPORTED),)
LOADED = Gpu(knots=constant(400.0))


@pytest.fixture(autouse=True)
def short_probe(monkeypatch):
    monkeypatch.setattr("llm_energy.power.sources.probe", lambda m: probe(m, duration_s=0.5))


def source_of(results):
    meter = NvmlMeter.open()
    assert meter is not None
    try:
        return campaign_source(results, [meter], meter.devices)
    finally:
        meter.close()


def test_the_counter_where_there_is_one(simulate, tmp_path):
    simulate(LOADED)
    method, devices = source_of(tmp_path)
    assert method == "counter"
    fields = devices[LOADED.uuid]["fields"]
    assert fields["energy_counter_joules"]["update_period_s"] == pytest.approx(0.1, rel=0.3)
    assert fields["instant_power_watts"] == {"reason": None, "update_period_s": None}
    assert devices[LOADED.uuid]["simulated"] is True


def test_instant_power_where_one_device_has_no_counter(simulate, tmp_path):
    simulate(LOADED, with_uuid(Gpu(knots=constant(400.0), faults=NO_COUNTER), 2))
    method, devices = source_of(tmp_path)
    assert method == "integrated_instant"
    (_, second) = devices.values()
    assert second["fields"]["energy_counter_joules"]["reason"] == "not_supported"


def test_the_choice_is_kept_when_a_device_comes_that_lacks_it(simulate, tmp_path):
    simulate(LOADED)
    source_of(tmp_path)
    simulate(with_uuid(Gpu(knots=constant(400.0), faults=NO_COUNTER), 2))
    method, devices = source_of(tmp_path)
    assert method == "counter"
    assert len(devices) == 2
    assert json.loads((tmp_path / "sensors.json").read_text()) == read_sensors(tmp_path)


def test_without_any_source_the_counter_says_why(simulate, tmp_path):
    simulate(Gpu(faults=NO_COUNTER + NO_INSTANT))
    assert source_of(tmp_path)[0] == "counter"


def test_without_a_device_nothing_is_kept(tmp_path):
    assert campaign_source(tmp_path, [], []) == ("counter", {})
    assert not (tmp_path / "sensors.json").exists()
