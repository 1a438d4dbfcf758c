"""Read every device at a fixed rate, in a thread of the measuring process.

A device with a rate of its own, such as the controller of the chassis, is read in a thread of its
own: how slowly it answers is nothing to the others.
"""

import heapq
import logging
import threading
import time
from bisect import bisect_left
from collections.abc import Sequence

from llm_energy.power.meter import (
    QUANTITIES,
    UNREAD,
    Device,
    Meter,
    Reading,
    reading_since,
)
from llm_energy.power.priority import prefer_this_thread
from llm_energy.power.series import Series

LOG = logging.getLogger(__name__)

MINIMUM_RATE_HZ, MAXIMUM_RATE_HZ = 1.0, 100.0
SLOW_PERIOD_S = 1.0
"""Temperature, clocks and the like change slowly, and reading them costs more than power does."""

_Sources = Sequence[tuple[Meter, Device]]


class Sampler:
    """Collects readings from `start` to `stop`, or inside a `with` block.

    The first and the last reading are taken in `start` and `stop` themselves, so that whatever
    happens between lies between two samples. Deadlines are absolute: a late reading does not
    shift those after it, and deadlines missed altogether are left out, never made up in a burst.
    """

    def __init__(
        self, meters: Sequence[Meter], *, rate_hz: float, only: Device | None = None
    ) -> None:
        if not MINIMUM_RATE_HZ <= rate_hz <= MAXIMUM_RATE_HZ:
            raise ValueError(
                f"sampling rate {rate_hz:g} Hz is outside {MINIMUM_RATE_HZ:g} to "
                f"{MAXIMUM_RATE_HZ:g} Hz"
            )
        every = [(meter, device) for meter in meters for device in meter.devices]
        found = [source for source in every if only in (None, source[1])]
        self._devices = tuple(device for _, device in found)
        # What the host's other measurements use too tells nothing, and reading it costs.
        sources = [source for source in found if source[1].refusal not in UNREAD]
        self._rate_hz = rate_hz
        common = [source for source in sources if source[1].own_period_s is None]
        self._common = _Lane(common, 1.0 / rate_hz)
        self._own = [
            _Lane([source], source[1].own_period_s, own=True)
            for source in sources
            if source[1].own_period_s is not None
        ]

    def start(self) -> None:
        for lane in (*self._own, self._common):
            lane.start()

    def stop(self) -> None:
        """End the threads and take the last reading; a second call does nothing."""
        for lane in (self._common, *self._own):
            lane.stop()

    def series(self, *, since_s: float = 0.0) -> Series:
        """All readings so far, or those since a moment; may be called while sampling goes on."""
        lanes = [lane.since(since_s) for lane in (self._common, *self._own)]
        readings = tuple(heapq.merge(*lanes, key=lambda reading: reading.monotonic_s))
        return Series(devices=self._devices, readings=readings, rate_hz=self._rate_hz)

    def __enter__(self) -> "Sampler":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class _Lane:
    """Devices that one thread reads one after the other, at one rate."""

    def __init__(self, sources: _Sources, period_s: float, *, own: bool = False) -> None:
        """Args: own: the rate is that of one slow device; its first reading is not waited for."""
        self._own = own
        self._sources = sources
        self._period_s = period_s
        self._readings: list[Reading] = []
        self._slow_due_s = 0.0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="power-sampler", daemon=True)

    def start(self) -> None:
        if not self._sources:
            return
        self._due_s = time.monotonic()
        if not self._own:
            self._read_all()
            self._due_s = time.monotonic() + self._period_s
        self._thread.start()

    def stop(self) -> None:
        """End the thread and take the last reading; none of a slow device that gave none before,
        which would hold up the measurement again."""
        if self._thread.is_alive():
            self._stopping.set()
            self._thread.join()
            self._slow_due_s = 0.0
            if not self._own or (self._readings and self._readings[-1].has_value):
                self._read_all()

    def since(self, moment_s: float) -> list[Reading]:
        """Return the readings since a moment."""
        first = bisect_left(self._readings, moment_s, key=lambda reading: reading.monotonic_s)
        return self._readings[first:]

    def _run(self) -> None:
        prefer_this_thread()
        while not self._stopping.wait(max(0.0, self._due_s - time.monotonic())):
            self._read_all()
            missed = (time.monotonic() - self._due_s) // self._period_s
            self._due_s += self._period_s * (1 + max(0, missed))

    def _read_all(self) -> None:
        now_s = time.monotonic()
        slow = now_s >= self._slow_due_s
        if slow:
            self._slow_due_s = now_s + SLOW_PERIOD_S
        for meter, device in self._sources:
            self._readings.append(_read(meter, device, slow=slow))


def _read(meter: Meter, device: Device, *, slow: bool) -> Reading:
    """One reading; a meter that breaks costs this reading only, never the measurement."""
    start_s = time.monotonic()
    try:
        return meter.read(device, slow=slow)
    except Exception:
        LOG.exception("reading %s failed", device.id)
        return reading_since(start_s, device, unavailable=dict.fromkeys(QUANTITIES, "read_failed"))
