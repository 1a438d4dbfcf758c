"""Abilities of the sensors of this machine: found out by watching them for some seconds."""

import hashlib
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from llm_energy.power.meter import QUANTITIES, UNREAD, Device, Meter, Quantity
from llm_energy.power.mirrors import mirrors
from llm_energy.power.sampler import MAXIMUM_RATE_HZ, MINIMUM_RATE_HZ, Sampler
from llm_energy.power.sensor import Sensor
from llm_energy.power.series import Series, update_period_s

PROBE_S = 3.0
"""Three seconds at the highest rate show three changes of a sensor that updates once a second."""

LOOK_S = 0.2
"""How often a slow probe looks whether it has seen enough."""

SLOW_PROBE_S = 20.0
"""How long a device with a rate of its own is watched at most: three changes of a value that moves
every five seconds. What it lacks is found out by the measurements themselves."""

LOST = ("gpu_lost", "driver_reloaded")
"""Reason codes of a device that is no longer there, as opposed to a sensor that it lacks."""


def probe(meters: Sequence[Meter], *, duration_s: float = PROBE_S) -> dict[str, dict[str, Any]]:
    """Device id -> what its sensors can do: of each quantity how often it changes, or why it is
    of no use. A period cannot come out shorter than that of the probe (10 ms), and is None where
    the value hardly changed. A CPU whose counter stands still at rest is watched under load."""
    slow = [meter for meter in meters if any(map(has_own_rate, meter.devices))]
    fast = [meter for meter in meters if meter not in slow]
    series = _watched(fast, duration_s)
    if any(_still(series, device) for device in series.devices if device.scope == "cpu_package"):
        with busy_cores():
            series = _watched(fast, duration_s)
    repeated = mirrors(series)
    found = [series]
    if slow:
        found.append(_watched_slowly(slow, duration_s * SLOW_PROBE_S / PROBE_S))
    return {
        device.id: _abilities(watched, device) | {"mirror_of": repeated.get(device.id)}
        for watched in found
        for device in watched.devices
        if device.refusal not in UNREAD
    }


@contextmanager
def busy_cores() -> Iterator[None]:
    """Let every core that this process may use work while the block runs."""
    ended = threading.Event()

    def work() -> None:
        while not ended.is_set():
            hashlib.pbkdf2_hmac("sha256", b"", b"", 100_000)  # leaves Python to other threads

    threads = [threading.Thread(target=work) for _ in os.sched_getaffinity(0)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def _watched(meters: Sequence[Meter], duration_s: float) -> Series:
    with Sampler(meters, rate_hz=MAXIMUM_RATE_HZ) as sampler:
        time.sleep(duration_s)
    return sampler.series()


def _watched_slowly(meters: Sequence[Meter], longest_s: float) -> Series:
    """Watch devices with a rate of their own until each has shown how often it moves, or gives
    nothing, for `longest_s` at most."""

    def done(series: Series, device: Device) -> bool:
        power, found = series.samples(device, "instant_power_watts"), series.by_device
        silent = device.id in found and not found[device.id][-1].has_value
        return silent or update_period_s(power) is not None

    end_s = time.monotonic() + longest_s
    with Sampler(meters, rate_hz=MINIMUM_RATE_HZ) as sampler:
        while time.monotonic() < end_s:
            series = sampler.series()
            if all(done(series, device) for device in series.devices):
                break
            time.sleep(LOOK_S)
    return sampler.series()


def has_own_rate(device: Device) -> bool:
    """Return True where a thread of its own reads a device, at a rate of its own."""
    return device.own_period_s is not None


def _still(series: Series, device: Device) -> bool:
    """Return True where a counter answers and never moves."""
    return len(set(series.samples(device, "energy_counter_joules").values)) == 1


def _unusable(series: Series, device: Device, quantity: Quantity) -> str | None:
    """Reason code where a quantity is not there, or says nothing: a device always draws power."""
    found, reason = series.samples(device, quantity), series.reason(device, quantity)
    if not len(found) or reason in LOST:
        return reason
    if quantity == "energy_counter_joules":
        if _still(series, device):
            return "counter_stuck"
        return "counter_of_module" if Sensor(device, series).counts_module else None
    return None if any(found.values) else "no_power"


def _abilities(series: Series, device: Device) -> dict[str, Any]:
    return {
        "model": device.model,
        "scope": device.scope,
        "gpu": device.is_gpu,
        "label": device.label,
        "simulated": device.simulated,
        "driver": device.facts.get("driver"),
        "fields": {
            quantity: {
                "reason": _unusable(series, device, quantity),
                "update_period_s": update_period_s(series.samples(device, quantity)),
            }
            for quantity in QUANTITIES
        },
    }
