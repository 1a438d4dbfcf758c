"""NVIDIA's own binding on simulated GPUs: opening it, and sampling a window with it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.llm_energy.power.made_power import phases
from tests.nvml_simulator import scenario as made
from tests.nvml_simulator.scenario import Gpu

from llm_energy.power.nvml import NvmlMeter
from llm_energy.power.sampler import Sampler
from llm_energy.power.series import Series
from llm_energy.results.parts import Phase

LOADED = Gpu(knots=made.constant(600.0), counter_update_s=0.02)
AFTER_OPENING = (2.5, 1e9)
"""Seconds since the scenario's start in which a fault lies that must not hit the first look."""


@contextmanager
def opened() -> Iterator[NvmlMeter]:
    meter = NvmlMeter.connect()
    try:
        yield meter
    finally:
        meter.close()


def sampled(duration_s: float, *, rate_hz: float = 50.0) -> tuple[Series, list[Phase]]:
    """A series over `duration_s` and the window that lies inside it."""
    with opened() as meter, Sampler([meter], rate_hz=rate_hz) as sampler:
        time.sleep(0.2)
        start = time.monotonic()
        time.sleep(duration_s)
        end = time.monotonic()
        time.sleep(0.2)
    return sampler.series(), phases(window=(start, end))
