"""hwmon and power-supply trees as the kernel lays them out, with links into a tree of devices."""

from collections.abc import Mapping
from pathlib import Path


def hwmon(classes: Path, number: int, place: str, name: str, files: Mapping[str, object]) -> Path:
    """Make hwmonN of the device `place`, and return its folder.

    `/sys/class/hwmon/hwmonN` links to `/sys/devices/.../PLACE/hwmon/hwmonN`, whose `device` links
    back to PLACE. Files whose names begin with `device/` lie there, as those of ACPI meters do.
    """
    own = classes.parent / "devices" / place / "hwmon" / f"hwmon{number}"
    own.mkdir(parents=True)
    (own / "device").symlink_to("../..")
    for file, content in {"name": name, **files}.items():
        (own / file).parent.mkdir(parents=True, exist_ok=True)
        (own / file).write_text(f"{content}\n")
    link = classes / "hwmon" / own.name
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(own)
    return own


def acpi(
    classes: Path, number: int, watts: float, *, label: str = "", interval_ms: object = 50
) -> Path:
    """An ACPI power meter, with its files in the folder of the ACPI device."""
    files = {
        "device/power1_average": round(watts * 1e6),
        "device/power1_average_interval": interval_ms,
        "device/power1_oem_info": label,
        "device/power1_model_number": "",
        "device/power1_is_battery": 0,
        "device/power1_accuracy": "90.0%",
    }
    return hwmon(classes, number, f"ACPI000D:{number:02}", "power_meter", files)


def measures(folder: Path, *names: str) -> None:
    """Let an ACPI power meter name the devices that it measures."""
    (folder / "device" / "measures").mkdir()
    for name in names:
        (folder / "device" / "measures" / name).symlink_to(f"../../{name}")


def grace_hopper(classes: Path) -> None:
    """The four rails of each of two sockets, by NVIDIA's Grace Performance Tuning Guide."""
    watts = {"Module": 700.0, "Grace": 300.0, "CPU": 150.0, "SysIO": 50.0}
    for socket in (0, 1):
        for number, (rail, power) in enumerate(watts.items(), start=1 + 4 * socket):
            acpi(classes, number, power + socket, label=f"{rail} Power Socket {socket}")


def jetson(classes: Path) -> Path:
    """The monitor of an Orin NX: its input of 5 V and 2 A, and two rails."""
    rails = {"VDD_IN": (5000, 2000), "VDD_CPU_GPU_CV": (5000, 900), "VDD_SOC": (5000, 400)}
    files = {"in7_label": "Sum of shunt voltages", "update_interval": 3}
    for channel, (label, (millivolts, milliamperes)) in enumerate(rails.items(), start=1):
        files |= {
            f"in{channel}_label": label,
            f"in{channel}_enable": 1,
            f"in{channel}_input": millivolts,
            f"curr{channel}_input": milliamperes,
        }
    return hwmon(classes, 0, "1-0040", "ina3221", files)


def battery(classes: Path, name: str = "BAT0", **files: object) -> Path:
    folder = classes / "power_supply" / name
    folder.mkdir(parents=True)
    known = {"type": "Battery", "status": "Discharging", "model_name": "Made", **files}
    for file, content in known.items():
        (folder / file).write_text(f"{content}\n")
    return folder
