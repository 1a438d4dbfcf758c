"""The meters of this machine, and which source of theirs gives the energy of a campaign.

The first measurement on a device finds out what its sensors can do, before its engine is loaded,
and keeps it beside the results in `sensors.json`. The choice is made once: results of two sources
are not comparable, so a device that lacks the campaign's source later has no energy, with the
reason.
"""

import json
import platform
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from llm_energy.power.chassis import HostPowerSource
from llm_energy.power.chassis_meter import ChassisMeter
from llm_energy.power.deadline import TimedMeter
from llm_energy.power.gpu_driver import open_gpus
from llm_energy.power.hwmon import hwmon_sensors
from llm_energy.power.meter import OTHER_HOST, QUANTITIES, SHARED_HOST, Device, Meter
from llm_energy.power.power_supply import battery_sensors
from llm_energy.power.rapl import RaplMeter
from llm_energy.power.sensor import QUANTITY, Method
from llm_energy.power.sensor_probe import has_own_rate, probe
from llm_energy.power.series import Series
from llm_energy.power.sysfs import SysfsMeter
from llm_energy.system import locks
from llm_energy.system.files import write_atomically

FILE = "sensors.json"

CLASSES = Path("/sys/class")
"""The kernel's folders of devices by their kind."""

PREFERRED: Sequence[Method] = ("counter", "integrated_instant")
"""The counter misses nothing between two readings; the mean of the last second is informative
only."""


def open_meters(
    *,
    cpu_model: str,
    gpus: bool,
    only: Collection[str] | None = None,
    shared: bool = False,
    classes: Path = CLASSES,
    host_power: HostPowerSource | None = None,
) -> tuple[Meter, ...]:
    """All meters that are there, to be closed by the caller; empty where there is none.

    A sensor that is there but may not be read is a meter: its readings carry the reason. No call
    of a meter takes longer than its deadline.

    Args:
        gpus: whether GPUs are metered; where they do no work, their driver is left alone.
        only: UUIDs of the GPUs that are metered; None: all.
        shared: other measurements use the host meanwhile.
        host_power: the controller that reports the power of the whole computer.
    """
    boards = TimedMeter.open(partial(open_gpus, only)) if gpus else None
    rapl = partial(RaplMeter.open, classes / "powercap", cpu_model=cpu_model, shared=shared)

    def hwmon() -> SysfsMeter | None:
        # The kernel shows GPUs for themselves, not who computes on them: a driver's library leads.
        sensors = hwmon_sensors(classes / "hwmon", gpus=gpus and only is None and boards is None)
        return SysfsMeter.open(sensors, shared=shared)

    def batteries() -> SysfsMeter | None:
        return SysfsMeter.open(battery_sensors(classes / "power_supply"), shared=shared)

    found: tuple[Meter | None, ...] = (
        boards,
        TimedMeter.open(rapl),
        TimedMeter.open(hwmon),
        TimedMeter.open(batteries),
    )
    if host_power is not None:
        refusal = SHARED_HOST if shared else OTHER_HOST if host_power.elsewhere else None
        found = (*found, ChassisMeter(host_power, refusal=refusal))
    return tuple(meter for meter in found if meter is not None)


def can_meter(*, gpus: bool, classes: Path = CLASSES) -> bool:
    """Return whether a sensor of this machine can be read that gives a campaign its energy.

    Args:
        gpus: the campaign measures on GPUs, else on CPUs.
    """
    meters = open_meters(cpu_model="", gpus=gpus, classes=classes)
    try:
        readings = [
            meter.read(device, slow=False)
            for meter in meters
            for device in meter.devices
            if (device.is_gpu if gpus else device.scope == "cpu_package") and not device.refusal
        ]
    finally:
        for meter in meters:
            meter.close()
    return any(getattr(reading, q) is not None for reading in readings for q in QUANTITIES)


def campaign_source(
    results: Path, meters: Sequence[Meter], devices: Sequence[Device], *, lock: Path
) -> tuple[Method, Mapping[str, Any]]:
    """The source of a campaign and the abilities of the devices seen in it so far.

    `sensors.json` names the zones of a CPU after their host, `HOST/intel-rapl:0`: in a campaign
    that is spread over hosts, each has its own. Those of this host are returned by their ids.

    Args:
        results: the campaign's folder; `sensors.json` is made there, or grows by new devices.
        devices: those whose energy counts; without any nothing is made.
        lock: held while the file grows: other measurements may find out about other devices.
    """
    method, abilities = _known(results, meters)
    slow = [d for m in meters for d in m.devices if has_own_rate(d) and d.refusal is None]
    if devices and any(device.id not in abilities for device in (*devices, *slow)):
        found = probe(meters)
        with locks.waiting(lock):
            method, abilities = _known(results, meters)
            abilities = found | abilities
            method = method or choose([abilities[device.id] for device in devices])
            named = {_name(id_, each): each for id_, each in abilities.items()}
            content = json.dumps({"method": method, "devices": named}, indent=1)
            write_atomically(results / FILE, content.encode() + b"\n")
    return method or PREFERRED[0], abilities


def _known(results: Path, meters: Sequence[Meter]) -> tuple[Method | None, dict[str, Any]]:
    """Return the source of a campaign and the abilities of devices, by their ids on this host."""
    known = read_sensors(results)
    abilities = {name.removeprefix(_here()): each for name, each in known["devices"].items()}
    granted = _granted(meters, abilities)
    return known["method"], {id_: each for id_, each in abilities.items() if id_ not in granted}


def _here() -> str:
    """Begins the names of the zones of this host's CPUs."""
    return f"{platform.node()}/"


def _name(device_id: str, abilities: Mapping[str, Any]) -> str:
    """Return the name of a device among those of all hosts: only a GPU's UUID is unique."""
    gpu = abilities.get("gpu", abilities["scope"] == "gpu_board")  # older files do not say
    unique = (gpu and ":" not in device_id) or "/" in device_id  # else an address on the host
    return device_id if unique else _here() + device_id


def _granted(meters: Sequence[Meter], known: Mapping[str, Any]) -> set[str]:
    """Return the devices that this user was not allowed to read, and is by now."""
    denied = {
        id_
        for id_, abilities in known.items()
        if abilities["fields"]["energy_counter_joules"]["reason"] == "permission_denied"
    }
    return {
        device.id
        for meter in meters
        for device in meter.devices
        if device.id in denied and meter.read(device, slow=False).energy_counter_joules is not None
    }


def read_sensors(results: Path) -> dict[str, Any]:
    """Content of `sensors.json`; empty where it is not there yet."""
    try:
        content: dict[str, Any] = json.loads((results / FILE).read_text())
    except FileNotFoundError:
        return {"method": None, "devices": {}}
    return content


def choose(abilities: Sequence[Mapping[str, Any]]) -> Method:
    """The first of the preferred sources that works on all devices; the counter if none does."""
    for method in PREFERRED:
        if all(device["fields"][QUANTITY[method]]["reason"] is None for device in abilities):
            return method
    return PREFERRED[0]


def with_known_periods(series: Series, abilities: Mapping[str, Any]) -> Series:
    """The series with the update period of each counter as the probe saw it: the readings of a
    window are often too far apart to show it."""
    return replace(series, devices=tuple(_informed(d, abilities) for d in series.devices))


def _informed(device: Device, abilities: Mapping[str, Any]) -> Device:
    if has_own_rate(device) and device.id in abilities:
        watts = abilities[device.id]["fields"]["instant_power_watts"]
        return replace(device, power_update_s=watts["update_period_s"])
    if device.counter_update_s is not None or device.id not in abilities:
        return device
    period_s = abilities[device.id]["fields"]["energy_counter_joules"]["update_period_s"]
    return replace(device, counter_update_s=period_s)
