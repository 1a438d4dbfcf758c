"""The source of a campaign, on simulated GPUs."""

import json
from contextlib import contextmanager
from typing import ClassVar

import pytest
from tests.llm_energy.power.made_power import drawing, powercap
from tests.nvml_simulator.scenario import NOT_SUPPORTED, Fault, Gpu, constant, with_uuid

from llm_energy.power.nvml import NvmlMeter
from llm_energy.power.rapl import RaplMeter
from llm_energy.power.sensor_probe import busy_cores, probe
from llm_energy.power.sources import campaign_source, read_sensors

NO_COUNTER = (Fault("counter", NOT_SUPPORTED),)
NO_INSTANT = (Fault("instant", NOT_SUPPORTED),)
LOADED = Gpu(knots=constant(400.0))


@pytest.fixture(autouse=True)
def short_probe(monkeypatch):
    monkeypatch.setattr("llm_energy.power.sources.probe", lambda m: probe(m, duration_s=0.5))


def source_of(results):
    meter = NvmlMeter.connect()
    try:
        return campaign_source(results, [meter], meter.devices, lock=results / "lock")
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
    assert campaign_source(tmp_path, [], [], lock=tmp_path / "lock") == ("counter", {})
    assert not (tmp_path / "sensors.json").exists()


def test_a_counter_that_answers_but_never_moves_is_no_source(simulate, tmp_path):
    simulate(Gpu(knots=constant(400.0), counter_gain=0.0, counter_start_mj=5_000))
    method, devices = source_of(tmp_path)
    assert method == "integrated_instant"
    (abilities,) = devices.values()
    assert abilities["fields"]["energy_counter_joules"]["reason"] == "counter_stuck"


def test_of_a_superchip_whose_counter_covers_the_module_power_of_the_gpu(simulate, tmp_path):
    superchip = Gpu(knots=constant(400.0), module_watts=150.0, module_counted=True)
    simulate(superchip)
    method, devices = source_of(tmp_path)
    assert method == "integrated_instant"
    fields = devices[superchip.uuid]["fields"]
    assert fields["energy_counter_joules"]["reason"] == "counter_of_module"
    assert fields["module_power_watts"]["reason"] is None


def test_of_a_superchip_whose_counter_covers_the_gpu_the_counter(simulate, tmp_path):
    simulate(Gpu(knots=constant(400.0), module_watts=150.0))
    assert source_of(tmp_path)[0] == "counter"


def test_power_that_is_always_0_is_no_source(simulate, tmp_path):
    simulate(Gpu(knots=constant(0.0), idle_watts=0.0, faults=NO_COUNTER))
    _, devices = source_of(tmp_path)
    (abilities,) = devices.values()
    assert abilities["fields"]["instant_power_watts"]["reason"] == "no_power"


class TestCpu:
    ZONES: ClassVar = {"intel-rapl:0": ("package-0", 5), "intel-rapl:1": ("package-0", 9)}

    def abilities(self, root):
        meter = RaplMeter.open(powercap(root, self.ZONES), cpu_model="Made CPU")
        return probe([meter], duration_s=0.3)

    def reasons(self, abilities):
        return [each["fields"]["energy_counter_joules"]["reason"] for each in abilities.values()]

    def test_a_package_that_stands_still_at_rest_is_watched_under_load(self, tmp_path, monkeypatch):
        @contextmanager
        def working():
            with busy_cores(), drawing(tmp_path, {"intel-rapl:0": 65.0}):
                yield

        monkeypatch.setattr("llm_energy.power.sensor_probe.busy_cores", working)
        abilities = self.abilities(tmp_path)
        assert list(abilities) == ["intel-rapl:0", "intel-rapl:1"]
        assert self.reasons(abilities) == [None, "counter_stuck"]

    def test_dies_of_one_counter_are_known_from_the_probe(self, tmp_path):
        powercap(tmp_path, self.ZONES)
        (tmp_path / "intel-rapl:1/energy_uj").unlink()
        (tmp_path / "intel-rapl:1/energy_uj").symlink_to(tmp_path / "intel-rapl:0/energy_uj")
        meter = RaplMeter.open(tmp_path, cpu_model="Made CPU")
        with drawing(tmp_path, {"intel-rapl:0": 65.0}):
            abilities = probe([meter], duration_s=0.3)
        assert abilities["intel-rapl:1"]["mirror_of"] == "intel-rapl:0"

    def test_each_host_of_a_campaign_has_its_own_package(self, tmp_path, monkeypatch):
        root, results = powercap(tmp_path / "powercap", self.ZONES), tmp_path / "results"
        results.mkdir()

        def reason_on(host):
            monkeypatch.setattr("platform.node", lambda: host)
            meter = RaplMeter.open(root, cpu_model="Made CPU")
            (package, *_) = meter.devices
            _, abilities = campaign_source(results, [meter], [package], lock=results / "lock")
            return abilities[package.id]["fields"]["energy_counter_joules"]["reason"]

        with drawing(root, {"intel-rapl:0": 65.0}):
            assert reason_on("one") is None
        assert reason_on("two") == "counter_stuck"
        assert reason_on("one") is None
        assert {name.split("/")[0] for name in read_sensors(results)["devices"]} == {"one", "two"}
