"""Scenarios for the simulated NVML library, and the truth about their energy.

All times are seconds since the scenario's epoch, a moment on CLOCK_MONOTONIC; only load files,
which a working process writes, hold CLOCK_MONOTONIC itself.
"""

import dataclasses
import math
import os
import random
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

Knots = tuple[tuple[float, float], ...]
"""(time, watts): power is linear between them and steady outside."""

NOT_SUPPORTED, TIMEOUT, GPU_LOST = 3, 10, 15
EVER = (-math.inf, math.inf)


@dataclass(frozen=True)
class Fault:
    """The answer of one query instead of a value: an NVML error code, from one time to another."""

    target: str
    """`all`, `counter`, `instant`, `average`, `usage`, `temperature`, `clocks`, `processes`, ..."""
    code: int
    span: tuple[float, float] = EVER


@dataclass(frozen=True)
class Gpu:
    """One simulated GPU."""

    uuid: str = "GPU-00000000-0000-0000-0000-000000000001"
    name: str = "Simulated GPU"
    idle_watts: float = 100.0
    limit_watts: float = 700.0
    default_limit_watts: float = 700.0
    loaded_limit_watts: float = 0.0
    """The enforced limit while it works, as laptops raise it; 0: the same."""
    knots: Knots = ((0.0, 100.0),)
    """Power under load."""
    period_s: float = 0.0
    """The knots repeat after this; 0: they do not."""
    settings_file: Path | None = None
    """Limits and clocks that processes set, one line `monotonic-second mW SM-MHz memory-MHz
    least-SM-MHz` each: power above idle goes with the square of the SM clock, which falls until the
    limit holds. None: nothing can be set."""
    edpp_percent: int = 0
    """EDPp multiplier of a newer driver, which has workload power profiles too; 0: an older one."""
    profiles: int = 0
    """Bit mask of the enforced profiles."""
    limit_range_watts: tuple[float, float] = (100.0, 700.0)
    load_file: Path | None = None
    """Lines `monotonic-second level`, each of which replaces what earlier ones said about later
    times; without it the load is always on."""
    sensor: str = "ideal"
    """Sensor of instant power: `ideal`, `window` (part of each period) or `average` (over 1 s)."""
    sensor_period_s: float = 0.1
    sensor_width_s: float = 0.025
    usage: str = "average"
    counter_gain: float = 1.0
    counter_update_s: float = 0.1
    """0: the counter is never late."""
    counter_start_mj: int = 0
    module_watts: float = 0.0
    """Constant power of the rest of its module; 0: it is on no module."""
    module_counted: bool = False
    """True if the energy counter holds that too."""
    ambient_celsius: float = 30.0
    celsius_per_watt: float = 0.05
    thermal_s: float = 10.0
    throttle_watts: float = math.inf
    query_s: float = 0.0
    """How long each query takes."""
    cpus: tuple[int, ...] = ()
    """The CPUs near it; none: not known."""
    mig: bool = False
    persistence: bool = True
    faults: tuple[Fault, ...] = ()
    processes: tuple[tuple[int, float, float], ...] = ()
    """(process id, from, to)."""
    process_file: Path | None = None
    """Ids of more processes that compute on it, one a line, written by them."""
    lost_file: Path | None = None
    """The GPU falls off the bus when this file appears."""
    hangs_file: Path | None = None
    """No query returns any more when this file appears."""

    def text(self) -> str:
        lines = [
            "gpu",
            f"uuid {self.uuid}",
            f"name {self.name}",
            f"idle {self.idle_watts!r}",
            f"limit {self.limit_watts!r}",
            f"default_limit {self.default_limit_watts!r}",
            f"loaded_limit {self.loaded_limit_watts!r}",
            f"modes {self.edpp_percent} {self.profiles}",
            f"limits {self.limit_range_watts[0]!r} {self.limit_range_watts[1]!r}",
            f"period {self.period_s!r}",
            f"sensor {self.sensor} {self.sensor_period_s!r} {self.sensor_width_s!r}",
            f"usage {self.usage}",
            f"counter {self.counter_gain!r} {self.counter_update_s!r} {self.counter_start_mj}",
            f"module {self.module_watts!r} {self.module_counted:d}",
            f"thermal {self.ambient_celsius!r} {self.celsius_per_watt!r} {self.thermal_s!r}",
            f"throttle {self.throttle_watts!r}",
            f"query {self.query_s!r}",
            f"cpus {sum(1 << cpu for cpu in self.cpus)}",
            f"mig {self.mig:d}",
            f"persistence {self.persistence:d}",
            *(f"knot {at!r} {watts!r}" for at, watts in self.knots),
            *(f"fault {f.target} {f.code} {f.span[0]!r} {f.span[1]!r}" for f in self.faults),
            *(f"process {pid} {start!r} {end!r}" for pid, start, end in self.processes),
        ]
        for name in ("load_file", "settings_file", "process_file", "lost_file", "hangs_file"):
            if (path := getattr(self, name)) is not None:
                lines.append(f"{name} {path}")
        return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Scenario:
    """A simulated machine."""

    gpus: Sequence[Gpu]
    epoch_s: float = field(default_factory=time.monotonic)
    driver: str = "580.00 (simulated)"
    reload: tuple[float, float] | None = None
    """The driver is gone from one time to another, and counters start again from 0."""

    def write(self, path: Path) -> Path:
        lines = [f"epoch {self.epoch_s!r}", f"driver {self.driver}"]
        if self.reload:
            lines.append(f"reload {self.reload[0]!r} {self.reload[1]!r}")
        text = "\n".join(lines) + "\n" + "".join(gpu.text() for gpu in self.gpus)
        path.write_bytes(text.encode(errors="surrogateescape"))  # names that are no text
        return path

    def joules(self, gpu: int, start_s: float, end_s: float) -> float:
        """True energy of a GPU between two moments on CLOCK_MONOTONIC."""
        start, end = start_s - self.epoch_s, end_s - self.epoch_s
        settings = settings_of(self.gpus[gpu], self.epoch_s)
        changes = levels(self.gpus[gpu], self.epoch_s)
        return energy(self.gpus[gpu], start, end, changes, settings)


def levels(gpu: Gpu, epoch_s: float) -> list[tuple[float, float]]:
    """(time, level) at which the load changes, from long before the epoch."""
    if gpu.load_file is None:
        return [(-math.inf, 1.0)]
    lines = gpu.load_file.read_text().split("\n")[:-1] if gpu.load_file.exists() else []
    changes = [(-math.inf, 0.0)]
    for at, level in map(str.split, lines):
        moment = float(at) - epoch_s
        changes = [change for change in changes if change[0] <= moment]
        changes.append((moment, float(level)))
    return changes


Setting = tuple[float, float, int]
"""(time, power limit in W, highest SM clock in MHz; 0: not locked)."""

LOAD_MHZ = 1980
"""SM clock under load without a limit."""


def settings_of(gpu: Gpu, epoch_s: float) -> list[Setting]:
    """Settings, from long before the epoch."""
    found: list[Setting] = [(-math.inf, gpu.limit_watts, 0)]
    if gpu.settings_file is not None and gpu.settings_file.exists():
        for line in gpu.settings_file.read_text().splitlines():
            at, milliwatts, sm_mhz, *_ = line.split()
            found.append((float(at) - epoch_s, float(milliwatts) / 1e3, int(sm_mhz)))
    return found


def set_now(gpu: Gpu, limit_watts: float, *, sm_mhz: int = 0) -> None:
    """Set a limit as an administrator does."""
    assert gpu.settings_file is not None
    with gpu.settings_file.open("a") as file:
        file.write(f"{time.monotonic():.6f} {1e3 * limit_watts:.0f} {sm_mhz} 0 {sm_mhz}\n")


def energy(
    gpu: Gpu,
    start: float,
    end: float,
    changes: Sequence[tuple[float, float]],
    settings: Sequence[Setting] = (),
) -> float:
    """Integral of power, piece by piece between all moments at which its slope changes: exact, but
    where a ramp meets a limit."""
    cuts = {start, end, *(at for at, _ in changes), *turns(gpu, start, end)}
    cuts |= {at for at, *_ in settings}
    pieces = pairwise(sorted(cut for cut in cuts if start <= cut <= end))
    return math.fsum(
        (b - a) * watts(gpu, (a + b) / 2, level(changes, (a + b) / 2), settings) for a, b in pieces
    )


def turns(gpu: Gpu, start: float, end: float) -> Iterable[float]:
    """The moments of all knots in [start, end], repeated as they are."""
    if gpu.period_s == 0.0:
        return [at for at, _ in gpu.knots]
    first, last = math.floor(start / gpu.period_s), math.ceil(end / gpu.period_s)
    inside = [at for at, _ in gpu.knots if at <= gpu.period_s]
    return [turn * gpu.period_s + at for turn in range(first, last + 1) for at in (0.0, *inside)]


def level(changes: Sequence[tuple[float, float]], at: float) -> float:
    return [value for moment, value in changes if moment <= at][-1]


def watts(gpu: Gpu, at: float, level: float, settings: Sequence[Setting] = ()) -> float:
    """True power at a moment that is not a jump."""
    x = at if gpu.period_s == 0.0 else at - math.floor(at / gpu.period_s) * gpu.period_s
    before = [knot for knot in gpu.knots if knot[0] <= x]
    after = [knot for knot in gpu.knots if knot[0] > x]
    if before and after:
        (t0, w0), (t1, w1) = before[-1], after[0]
        loaded = w0 + (w1 - w0) * (x - t0) / (t1 - t0)
    else:
        loaded = before[-1][1] if before else after[0][1]
    full = loaded - gpu.idle_watts
    if gpu.settings_file is not None and settings:
        _, limit_watts, sm_mhz = [setting for setting in settings if setting[0] <= at][-1]
        locked = min(1.0, sm_mhz / LOAD_MHZ) if sm_mhz else 1.0
        full = min(full * locked**2, max(0.0, limit_watts - gpu.idle_watts))
    return level * full + gpu.idle_watts


def constant(power: float) -> Knots:
    return ((0.0, power),)


def steps(*changes: tuple[float, float]) -> Knots:
    """Power jumps to a value at each time."""
    knots = [changes[0]]
    for at, power in changes[1:]:
        knots += [(at, knots[-1][1]), (at, power)]
    return tuple(knots)


def ramp(start: tuple[float, float], end: tuple[float, float]) -> Knots:
    return (start, end)


def bursts(*, low: float, high: float, period_s: float, duty: float) -> Knots:
    """High for a share of each period, then low; give the GPU the same `period_s`."""
    on = duty * period_s
    return ((0.0, high), (on, high), (on, low), (period_s, low))


def noise(*, mean: float, deviation: float, period_s: float, step_s: float, seed: int) -> Knots:
    """Independent normal values held for `step_s` each."""
    chance = random.Random(seed)
    count = round(period_s / step_s)
    return steps(*((n * step_s, chance.gauss(mean, deviation)) for n in range(count)))


def set_load(path: Path, load: float, *, at_s: float | None = None) -> None:
    """Say that the load changes, now or at a moment on CLOCK_MONOTONIC."""
    line = f"{time.monotonic() if at_s is None else at_s!r} {load!r}\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, line.encode())
    os.close(descriptor)


def with_uuid(gpu: Gpu, number: int) -> Gpu:
    """The same GPU with another identity."""
    return dataclasses.replace(gpu, uuid=f"GPU-00000000-0000-0000-0000-{number:012d}")
