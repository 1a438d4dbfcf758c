"""Batteries of this computer, through the kernel's power-supply tree.

Names and units are those of the kernel's Documentation/ABI/testing/sysfs-class-power: power in µW,
voltage in µV, current in µA, which some drivers give a sign while the battery discharges.
"""

from pathlib import Path

from llm_energy.power.meter import Device
from llm_energy.power.sysfs import SysfsSensor, Value, text

NOT_DISCHARGING = "not_discharging"
"""While it is charged, or beside a charger, a battery says nothing of what the computer draws."""


def battery_sensors(root: Path) -> list[SysfsSensor]:
    """Return the batteries of the system below a power-supply folder, not those of a mouse."""
    found = []
    for folder in sorted(root.glob("*")):
        if text(folder / "type") != "Battery" or text(folder / "scope") == "Device":
            continue
        value = _power(folder)
        if value is None:
            continue
        model = " ".join(filter(None, (text(folder / "manufacturer"), text(folder / "model_name"))))
        device = Device(
            id=f"power_supply:{folder.name}",
            model=model or "unknown battery",
            scope="battery",
            label=folder.name,
        )
        state = (folder / "status", "Discharging", NOT_DISCHARGING)
        found.append(SysfsSensor(device, {"instant_power_watts": value}, state))
    return found


def _power(folder: Path) -> Value | None:
    names: tuple[tuple[tuple[str, ...], float], ...] = (
        (("power_now",), 1e-6),
        (("current_now", "voltage_now"), 1e-12),
    )
    for files, unit in names:
        paths = tuple(folder / name for name in files)
        if all(path.is_file() for path in paths):
            return Value(paths, unit, unsigned=False)
    return None
