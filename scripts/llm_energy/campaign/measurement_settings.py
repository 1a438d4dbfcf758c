"""Durations and rates of every measurement, with the defaults of each device."""

from typing import Any, Literal

from pydantic import model_validator

from llm_energy.campaign.host_power_settings import DeclaredHostPower
from llm_energy.campaign.types import Duration, Hertz, Model, Seconds

GPU_DEFAULTS = {"minimum_duration_s": 30.0, "baseline_s": 30.0, "warmup_cap_s": 180.0}
"""Longer than on a CPU: a GPU's sensors average over 1 s and its temperature settles."""

GPU_CYCLES = 5
"""On a GPU: below 5 an interval over cycles is wider than most effects that are looked for."""


class Measurement(Model):
    """Durations and rates of every measurement of the campaign."""

    device: Literal["cpu", "gpu"] = "cpu"
    """Device that computes; it chooses the defaults of the durations."""
    minimum_duration_s: Duration = 3.0
    """Least length of the measured window; with load mode `open` its length. GPU: 30, with `open`
    120, and no less than 10."""
    baseline_s: Seconds = 2.0
    """Idle time of the loaded engine before its warm-up. GPU: 30. Below 10, the standard error of
    its power is too small where power wanders slowly."""
    warmup_cap_s: Seconds = 5.0
    """Longest warm-up, counted from the end of its first wave. GPU: 180."""
    tail_s: Seconds = 1.0
    """Time that the load runs on after the window, so that its end lies inside steady load."""
    sampling_hz: Hertz = 10.0
    """Readings of power and energy counter per second."""
    host_power: DeclaredHostPower = None
    """Controller (BMC) that reports the power of the whole computer, which is read beside all else:
    `ipmi`, or `redfish` with its address (docs/energy.md). Default: none."""
    load_deadline_s: Duration = 900.0
    """Loading the engine fails after this time."""
    first_wave_deadline_s: Duration = 900.0
    """The first wave, in which an engine may compile, fails after this time."""
    measure_deadline_s: Duration = 3600.0
    """Warm-up, window and tail together fail after this time."""

    @property
    def on_gpu(self) -> bool:
        return self.device == "gpu"

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_device(cls, given: Any) -> Any:
        gpu = isinstance(given, dict) and given.get("device") == "gpu"
        return {**GPU_DEFAULTS, **given} if gpu else given


NOT_IDENTIFYING = (
    *("load_deadline_s", "first_wave_deadline_s", "measure_deadline_s"),
    "host_power",
)
"""Keys of `Measurement` that do not change what is measured."""
