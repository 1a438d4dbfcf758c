"""Nobody may compute on the GPUs when an engine starts, on a simulated NVML library."""

import os

import pytest
from tests.nvml_simulator.fixtures import nvml_library, simulate
from tests.nvml_simulator.scenario import Gpu, constant

from llm_energy import measurement
from llm_energy.backends.runtime import BackendError
from llm_energy.power.nvml import NvmlMeter

__all__ = ["nvml_library", "simulate"]

FOREVER_S = 1e9


def refuse(own=()):
    meter = NvmlMeter.open()
    assert meter is not None
    try:
        measurement.refuse_leftovers([meter], own)
    finally:
        meter.close()


def test_a_process_that_is_left_is_named_with_its_gpu(simulate, monkeypatch):
    monkeypatch.setattr(measurement, "LEFTOVERS_GONE_S", 0.1)
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
