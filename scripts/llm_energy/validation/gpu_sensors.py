"""What the sensors of one GPU do: read at the highest rate, without a load and under one."""

import time
from dataclasses import dataclass

from llm_energy.power.meter import Device, Meter, Reading
from llm_energy.power.sampler import MAXIMUM_RATE_HZ, Sampler
from llm_energy.power.series import Series
from llm_energy.validation.gpu_load import load_on


@dataclass(frozen=True)
class Timing:
    """How long the sensors are watched."""

    idle_s: float = 30.0
    warm_s: float = 30.0
    """Of load before what counts: clocks settle and the board warms up."""
    loaded_s: float = 180.0
    windows_s: tuple[float, ...] = (10.0, 30.0)
    """Lengths of the equal windows that the loaded time is cut into."""


QUICK = Timing(idle_s=2.0, warm_s=1.0, loaded_s=6.0, windows_s=(1.0, 2.0))


@dataclass(frozen=True)
class Watched:
    """One GPU at rest and under load."""

    device: Device
    idle: Series
    loaded: Series


@dataclass(frozen=True)
class _One:
    """A meter that shows one of its devices only: reading the others would take time."""

    meter: Meter
    device: Device

    @property
    def devices(self) -> tuple[Device, ...]:
        return (self.device,)

    def read(self, device: Device, *, slow: bool) -> Reading:
        return self.meter.read(device, slow=slow)

    def close(self) -> None:
        """Nothing: the meter is others' too."""


def watch(meter: Meter, device: Device, *, python: str, timing: Timing) -> Watched:
    """Read a GPU at rest, then under a load that the interpreter runs.

    Raises:
        LoadError: the load does not work.
    """
    only = _One(meter, device)
    idle = _series(only, timing.idle_s)
    with load_on(device.id, python=python):
        time.sleep(timing.warm_s)
        loaded = _series(only, timing.loaded_s)
    return Watched(device, idle, loaded)


def _series(meter: Meter, duration_s: float) -> Series:
    sampler = Sampler([meter], rate_hz=MAXIMUM_RATE_HZ)
    with sampler:
        time.sleep(duration_s)
    return sampler.series()
