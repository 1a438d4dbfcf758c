"""A campaign goes on only on the device model that it began on."""

import threading
from functools import partial

import pytest
from tests.llm_energy.make_campaigns import changed, load, make_checkout
from tests.llm_energy.make_results import make_result, put_result
from tests.nvml_simulator.scenario import Gpu, with_uuid

from llm_energy.preflight import gpus
from llm_energy.preflight.asking import ask_all
from llm_energy.preflight.gpus import ask_gpus
from llm_energy.system.host import cpu_model
from llm_energy.workflow.device_guard import foreign_device


@pytest.fixture
def campaign(tmp_path):
    def on(device):
        measurement = {"measurement": {"device": device}}
        return load(make_checkout(tmp_path / device), changed(lambda c: c.update(measurement)))

    return on


def foreign(campaign, results):
    paths = [results / planned.result_path for planned in campaign.schedule]
    return foreign_device(campaign.measurement.device, paths, gpus=ask_gpus())


def measured_on(model, campaign, results):
    put_result(results / campaign.schedule[3].result_path, make_result(device_model=model))


def test_what_was_not_measured_yet_may_begin_anywhere(campaign, tmp_path, simulate):
    simulate(Gpu(name="Board 9000"))
    assert foreign(campaign("cpu"), tmp_path) is None
    assert foreign(campaign("gpu"), tmp_path) is None


def test_the_same_cpu_goes_on_and_another_does_not(campaign, tmp_path):
    cpu = campaign("cpu")
    measured_on(cpu_model(), cpu, tmp_path)
    assert foreign(cpu, tmp_path) is None
    measured_on("Abacus", cpu, tmp_path)
    assert foreign(cpu, tmp_path) == ("Abacus", cpu_model())


def test_the_same_gpu_goes_on_and_another_does_not(campaign, tmp_path, simulate):
    simulate(Gpu(name="Board 9000"))
    gpu = campaign("gpu")
    measured_on("Board 9000", gpu, tmp_path)
    assert foreign(gpu, tmp_path) is None
    measured_on("Board 8000", gpu, tmp_path)
    assert foreign(gpu, tmp_path) == ("Board 8000", "Board 9000")


def test_only_the_gpus_that_a_campaign_measures_on_count(campaign, tmp_path, simulate):
    old, new = Gpu(name="Board 8000"), with_uuid(Gpu(name="Board 9000"), 2)
    simulate(old, new)
    gpu = campaign("gpu")
    measured_on("Board 8000", gpu, tmp_path)
    paths = [tmp_path / planned.result_path for planned in gpu.schedule]
    on = partial(foreign_device, "gpu", paths, gpus=ask_gpus())
    assert on() is None
    assert on(only={old.uuid}) is None
    assert on(only={new.uuid}) == ("Board 8000", "Board 9000")


def test_a_driver_that_never_answers_does_not_hold_up_a_run(campaign, tmp_path, monkeypatch):
    gpu = campaign("gpu")
    measured_on("Board 8000", gpu, tmp_path)
    answered = threading.Event()
    monkeypatch.setattr(gpus, "read_gpus", answered.wait)
    monkeypatch.setattr(gpus, "ask_all", partial(ask_all, deadline_s=0.1))
    assert foreign(gpu, tmp_path) is None
    answered.set()
