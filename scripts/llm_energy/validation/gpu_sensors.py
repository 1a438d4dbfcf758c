"""The sensors of one GPU, read at the highest rate without a load and under one."""

import contextlib
import os
import select
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from llm_energy.power.meter import Device, Meter
from llm_energy.power.sampler import MAXIMUM_RATE_HZ, Sampler
from llm_energy.power.sensor import Sensor

SCRIPT = Path(__file__).parent / "matmul.py"
STARTED_S = 300.0
"""Deadline for torch to be imported and CUDA to be set up, from a slow disk too."""


@dataclass(frozen=True)
class Timing:
    """How long the sensors are watched."""

    idle_s: float = 30.0
    warm_s: float = 30.0
    """Load before the readings that count: clocks settle and the board warms up."""
    loaded_s: float = 180.0
    windows_s: tuple[float, ...] = (10.0, 30.0)
    """Lengths of the equal windows that the loaded time is cut into."""


QUICK = Timing(idle_s=2.0, warm_s=1.0, loaded_s=6.0, windows_s=(1.0, 2.0))


@dataclass(frozen=True)
class Watched:
    """One GPU at rest and under load."""

    idle: Sensor
    loaded: Sensor


def watch(meter: Meter, device: Device, *, python: str, timing: Timing) -> Watched:
    """Read a GPU at rest, then under a load that the interpreter runs.

    Raises:
        LoadError: the load does not work.
    """
    idle = read_sensor(meter, device, timing.idle_s)
    with load_on(device.id, python=python):
        time.sleep(timing.warm_s)
        return Watched(idle, read_sensor(meter, device, timing.loaded_s))


def read_sensor(meter: Meter, device: Device, duration_s: float) -> Sensor:
    """Read one GPU at the highest rate for `duration_s`."""
    sampler = Sampler([meter], rate_hz=MAXIMUM_RATE_HZ, only=device)
    with sampler:
        time.sleep(duration_s)
    return Sensor(device, sampler.series())


class LoadError(Exception):
    """The load does not run; the message ends with its last line."""


@contextlib.contextmanager
def load_on(uuid: str, *, python: str) -> Iterator[None]:
    """Keep a GPU busy inside the block.

    Raises:
        LoadError: it does not work, or it ended before the block did.
    """
    with tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(
                [python, str(SCRIPT)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**os.environ, "CUDA_VISIBLE_DEVICES": uuid},
            )
        except OSError as error:
            raise LoadError(f"{python}: {error.strerror}") from error

        def last_line() -> str:
            errors.seek(0)
            lines = errors.read().decode(errors="replace").split("\n")
            return next((line for line in reversed(lines) if line.strip()), "none")

        try:
            if not _says_working(process):
                raise LoadError(f"no load within {STARTED_S:.0f} s; its last line: {last_line()}")
            yield
            if process.poll() is not None:
                raise LoadError(f"the load ended by itself; its last line: {last_line()}")
        finally:
            _end(process)


def _says_working(process: subprocess.Popen[bytes]) -> bool:
    assert process.stdout is not None
    deadline_s = time.monotonic() + STARTED_S
    while select.select([process.stdout], [], [], max(0.0, deadline_s - time.monotonic()))[0]:
        line = process.stdout.readline()
        if line.strip() == b"working":
            return True
        if not line:
            process.wait()
            return False
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    with contextlib.suppress(OSError):
        process.stdin.close()
    try:
        process.wait(timeout=10.0)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()
