"""Nobody may compute on the GPUs when an engine starts, on a simulated NVML library."""

import os

import pytest
from tests.nvml_simulator.fixtures import nvml_library, simulate
from tests.nvml_simulator.scenario import Gpu, constant, with_uuid

from llm_energy.backends.runtime import BackendError
from llm_energy.measurement import device_exclusivity
from llm_energy.power.nvml import NvmlMeter
from llm_energy.power.sampler import Sampler

__all__ = ["nvml_library", "simulate"]

FOREVER_S = 1e9


def refuse(own=()):
    meter = NvmlMeter.connect()
    try:
        device_exclusivity.refuse_leftovers([(meter, gpu) for gpu in meter.devices], own)
    finally:
        meter.close()


def test_a_process_that_is_left_is_named_with_its_gpu(simulate, monkeypatch):
    monkeypatch.setattr(device_exclusivity, "LEFTOVERS_GONE_S", 0.1)
    gpu = Gpu(knots=constant(100.0), processes=((os.getpid(), 0.0, FOREVER_S),))
    simulate(gpu)
    with pytest.raises(BackendError) as caught:
        refuse()
    assert caught.value.reason == "device_occupied"
    assert f"({os.getpid()}) on {gpu.uuid}; end them" in str(caught.value)


def test_the_backends_own_processes_may_compute(simulate):
    simulate(Gpu(knots=constant(100.0), processes=((4711, 0.0, FOREVER_S),)))
    refuse(own=[4711])


def test_a_process_that_is_just_going_is_waited_for(simulate):
    simulate(Gpu(knots=constant(100.0), processes=((4711, 0.0, 1.0),)))
    refuse()  # does not raise


def test_a_free_gpu_is_taken_at_once(simulate):
    simulate(Gpu(knots=constant(100.0)))
    refuse()


class TestWorkingDevices:
    def test_the_gpus_that_the_backend_gets(self, simulate):
        simulate(Gpu(), with_uuid(Gpu(), 2))
        meter = NvmlMeter.connect()
        try:
            everyone = [gpu.id for gpu in meter.devices]
            last = tuple(everyone[1:])
            for gpus, expected in (("all", everyone), (1, everyone), (last, everyone[1:])):
                working = device_exclusivity.working_devices([meter], device="gpu", gpus=gpus)
                assert [gpu.id for _, gpu in working] == expected
                assert device_exclusivity.lock_names(working, device="gpu") == expected
            assert device_exclusivity.working_devices([meter], device="cpu", gpus=None) == []
        finally:
            meter.close()

    def test_the_cpu_is_one_device(self):
        assert device_exclusivity.lock_names([], device="cpu") == ["cpu"]


def test_the_gpus_in_use_are_those_with_processes_of_the_backend(simulate):
    simulate(
        Gpu(processes=((4711, 0.0, FOREVER_S),)),
        with_uuid(Gpu(processes=((99, 0.0, FOREVER_S),)), 2),
    )
    meter = NvmlMeter.connect()
    try:
        sampler = Sampler([meter], rate_hz=10.0)
        with sampler:
            pass
        series = sampler.series()
    finally:
        meter.close()
    assert device_exclusivity.used_gpus(series, {4711}) == {meter.devices[0].id}
    assert device_exclusivity.used_gpus(series, {1}) is None
    assert device_exclusivity.used_gpus(series, None) is None
