"""Powercap trees and series with a known truth, for the tests of power."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from llm_energy.power.meter import Device, Reading
from llm_energy.power.series import Samples, Series
from llm_energy.results.parts import Phase

GPU = Device(id="GPU-1", model="Made GPU", scope="gpu_board", power_limit_watts=700.0)
PACKAGE = Device(id="package-0", model="Made CPU", scope="cpu_package", counter_update_s=0.001)


def constant(watts: float) -> Callable[[float], float]:
    return lambda _: watts


def load_of(watts: float, *, idle: float = 100.0) -> Callable[[float], float]:
    """Idle until second 10, then the load."""
    return lambda t: idle if t < 10.0 else watts


def samples(power: Callable[[float], float], *, start: float, end: float, rate: float) -> Samples:
    """`power` at start, start + 1/rate, ... up to the first moment at or after `end`."""
    times = [start]
    while times[-1] < end:
        times.append(start + len(times) / rate)
    return Samples(tuple(times), tuple(power(t) for t in times))


def series_of(
    power: Callable[[float], float],
    *,
    device: Device = GPU,
    start: float = 0.0,
    end: float = 30.0,
    rate: float = 10.0,
    counter_gain: float = 1.0,
    lost_at: float | None = None,
) -> Series:
    """Instant power and an ideal counter of one device from `start` to `end` s."""
    points = samples(power, start=start, end=end, rate=rate)
    readings, counter, before = [], 1000.0, points.times_s[0]
    for time_s, watts in zip(points.times_s, points.values, strict=True):
        counter += counter_gain * watts * (time_s - before)
        before = time_s
        if lost_at is not None and time_s >= lost_at:
            gone = {"energy_counter_joules": "gpu_lost", "instant_power_watts": "gpu_lost"}
            readings.append(reading(time_s, device=device.id, unavailable=gone))
        else:
            readings.append(
                reading(
                    time_s,
                    device=device.id,
                    energy_counter_joules=counter,
                    instant_power_watts=watts,
                    unavailable={"average_power_watts": "not_supported"},
                )
            )
    return Series((device,), tuple(readings), rate)


def together(*series: Series) -> Series:
    """The devices of several series in one."""
    readings = sorted((r for each in series for r in each.readings), key=lambda r: r.monotonic_s)
    devices = tuple(device for each in series for device in each.devices)
    return Series(devices, tuple(readings), series[0].rate_hz)


def reading(time_s: float, *, device: str = "GPU-1", **values: object) -> Reading:
    fields = {"device": device, "monotonic_s": time_s, "wall_s": 1.8e9 + time_s, "read_s": 0.001}
    return Reading(**(fields | values))  # type: ignore[arg-type]


def phases(**spans: tuple[float, float]) -> list[Phase]:
    return [
        Phase(name=name, start_monotonic_s=start, end_monotonic_s=end)
        for name, (start, end) in spans.items()
    ]


def powercap(
    root: Path, domains: Mapping[str, tuple[str, int]], *, range_uj: int = 262143328850
) -> Path:
    """A powercap tree: folder name -> (domain name, counter in µJ)."""
    for folder, (name, counter) in domains.items():
        (root / folder).mkdir(parents=True, exist_ok=True)
        (root / folder / "name").write_text(f"{name}\n")
        (root / folder / "energy_uj").write_text(f"{counter}\n")
        (root / folder / "max_energy_range_uj").write_text(f"{range_uj}\n")
    return root


class Counters:
    """Files of counters that a thread of the test keeps up to date."""

    def __init__(self, watts: Mapping[Path, float]) -> None:
        self.longest_pause_s = 0.0
        """The longest time without an update: a busy machine holds up the thread."""
        self._watts = watts
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._count)

    def start(self) -> None:
        self._begin_s = self._last_s = time.monotonic()
        self._first = {file: int(file.read_text()) for file in self._watts}
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        self._thread.join()

    def _count(self) -> None:
        while not self._ended.wait(0.002):
            for file, power in self._watts.items():
                joules = power * (time.monotonic() - self._begin_s)
                whole = file.with_name(f"{file.name}.new")
                whole.write_text(f"{self._first[file] + round(1e6 * joules)}\n")
                whole.replace(file)
            now_s = time.monotonic()
            self.longest_pause_s = max(self.longest_pause_s, now_s - self._last_s)
            self._last_s = now_s


@contextmanager
def counting(watts: Mapping[Path, float]) -> Iterator[Counters]:
    """Let files of µJ count while the block runs: file -> power."""
    counters = Counters(watts)
    counters.start()
    try:
        yield counters
    finally:
        counters.end()


def drawing(root: Path, watts: Mapping[str, float]) -> AbstractContextManager[Counters]:
    """Let the counters of a powercap tree count while the block runs: folder name -> power."""
    return counting({root / name / "energy_uj": power for name, power in watts.items()})
