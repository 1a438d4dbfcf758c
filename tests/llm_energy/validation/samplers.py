"""Two samplers for tests: our own on a simulated meter, and a command."""

import time

from llm_energy.power.meter import Device, Reading
from llm_energy.power.sampler import Sampler

COUNTING = ["sh", "-c", "n=0; while sleep 0.02; do n=$((n+1)); echo row $n $TZ; done"]
"""Says `row N TIMEZONE` for ever."""


class Busy:
    """A meter whose readings take some work."""

    devices = (Device(id="GPU-1", model="Made GPU", scope="gpu_board"),)

    def read(self, device: Device, *, slow: bool) -> Reading:  # noqa: ARG002
        return Reading(device.id, time.monotonic(), time.time(), sum(range(20_000)) * 0.0)


def sampler() -> Sampler:
    return Sampler([Busy()], rate_hz=100.0)
