"""List the sensors of the host that the kernel shows beside RAPL, and what they read now."""

from pathlib import Path

from llm_energy.power.hwmon import hwmon_sensors
from llm_energy.power.meter import QUANTITIES, Reading
from llm_energy.power.power_supply import battery_sensors
from llm_energy.power.sensor_probe import probe
from llm_energy.power.sources import CLASSES
from llm_energy.power.sysfs import SysfsMeter
from llm_energy.preflight.findings import Finding
from llm_energy.results.codes import ENERGY_REASONS

SUBJECT = "host sensors"

PROBE_S = 0.5
"""How long they are watched, to see how often they update."""


def host_sensor_finding(classes: Path = CLASSES) -> Finding:
    """Report each sensor with its scope, power and update period, or why it has none."""
    sensors = hwmon_sensors(classes / "hwmon", gpus=False)
    sensors += battery_sensors(classes / "power_supply")
    meter = SysfsMeter.open(sensors)
    if meter is None:
        message = f"none that is known in {classes}/hwmon and {classes}/power_supply"
        return Finding("note", SUBJECT, message, {"sensors": []})
    readings = {device.id: meter.read(device, slow=False) for device in meter.devices}
    seen = probe([meter], duration_s=PROBE_S)
    facts = []
    for device in meter.devices:
        watts, fields = _watts(readings[device.id]), seen[device.id]["fields"]
        periods = [field["update_period_s"] for field in fields.values()]
        facts.append(
            {
                "id": device.id,
                "label": device.label,
                "scope": device.scope,
                "watts": watts,
                "update_period_s": next((s for s in periods if s is not None), None),
                "reason": next(iter(readings[device.id].unavailable.values()), None),
            }
        )
    works = any(fact["watts"] is not None for fact in facts)
    message = "; ".join(map(_text, facts))
    codes = sorted({str(fact["reason"]) for fact in facts if fact["reason"]})
    message = ". ".join([message, *(f"{code}: {ENERGY_REASONS[code]}" for code in codes)])
    return Finding("ok" if works else "note", SUBJECT, message, {"sensors": facts})


def _watts(reading: Reading) -> float | None:
    values = [getattr(reading, quantity) for quantity in QUANTITIES if "power" in quantity]
    return next((value for value in values if value is not None), None)


def _text(fact: dict[str, object]) -> str:
    name = f"{fact['label'] or fact['id']} ({fact['scope']})"
    if fact["watts"] is None:
        return f"{name} {fact['reason']}"
    period = fact["update_period_s"]
    every = "" if period is None else f", new each {period:.2g} s"
    return f"{name} {fact['watts']:.4g} W{every}"
