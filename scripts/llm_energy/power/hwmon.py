"""Sensors of the kernel's hwmon tree: ACPI power meters, INA power monitors, and GPUs.

Names and units are those of the kernel's Documentation/hwmon/sysfs-interface.rst: power in µW,
energy in µJ, voltage in mV, current in mA, intervals in ms. What the drivers add to it stands in
Documentation/hwmon/{acpi_power_meter,ina2xx,ina3221}.rst, in
Documentation/ABI/testing/sysfs-driver-intel-{i915,xe}-hwmon, and for amdgpu in
Documentation/gpu/amdgpu/thermal.rst. Sensors of other drivers are left alone: nothing says what
they cover.

Each rail is a device of its own. Rails of one socket hold each other (the module of a Grace Hopper
its CPU socket, which holds the rail of the cores), so they are never added up.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from llm_energy.power.meter import Device, Quantity, Scope
from llm_energy.power.sysfs import SysfsSensor, Value, known_number, text

INSTANT_S = 0.1
"""An average over so short a time is power now: NVML's own is a mean over 25 of 100 ms."""

ACPI_UNKNOWN = 0xFFFFFFFF * 1000
"""ACPI 6.5, 10.4.1: _PMM gives all ones (in mW) for power that the firmware does not know."""

WHOLE_SYSTEM = ("LNXSYSTM", "LNXSYBUS")
"""Names of the ACPI root and of the system bus: a meter of one of them measures the machine."""

SOCKET_RAILS: Mapping[str, Scope] = {"module": "module", "grace": "cpu_socket"}
"""NVIDIA's Grace Performance Tuning Guide, "Power Telemetry": `Module Power Socket 0` is GPU, CPU
and memory, `Grace Power Socket 0` CPU, memory and regulators; of `CPU` and `SysIO` each is one rail
(the cores' is about half of the socket)."""

BOARD_INPUTS = ("VDD_IN", "POM_5V_IN")
"""NVIDIA's Jetson Linux Developer Guide, "Platform Power and Performance": the rail through which a
module takes all of its power, where it has one. On others, as AGX Orin, no rail is the sum."""


def hwmon_sensors(root: Path, *, gpus: bool) -> list[SysfsSensor]:
    """Return the sensors below a hwmon folder whose scope is known.

    Args:
        gpus: GPUs too, which reading can wake up.
    """
    found: dict[str, SysfsSensor] = {}
    for folder in sorted(root.glob("hwmon*")):
        for sensor in _sensors(folder, gpus=gpus):
            found.setdefault(sensor.device.id, sensor)
    return list(found.values())


def _sensors(folder: Path, *, gpus: bool) -> Iterator[SysfsSensor]:
    driver = text(_file(folder, "name")) or ""
    if driver == "power_meter":
        yield from _acpi(folder)
    elif driver == "ina3221":
        for channel in (1, 2, 3):
            yield from _ina(folder, driver, channel, text(folder / f"in{channel}_label"))
    elif re.fullmatch(r"ina[0-9]{3}", driver):
        yield from _ina(folder, driver, 1, text(folder / "label"))
    elif gpus and driver in ("i915", "xe"):
        yield from _intel_gpu(folder, driver, "energy1", "gpu_board")
        yield from _intel_gpu(folder, driver, "energy2", "gpu_chip")
    elif gpus and driver == "amdgpu":
        yield from _amd_gpu(folder)


def _acpi(folder: Path) -> Iterator[SysfsSensor]:
    file = _file(folder, "power1_average")
    if not _there(file):
        return
    label = text(_file(folder, "power1_oem_info"))
    interval_ms = known_number(_file(folder, "power1_average_interval"))
    interval_s = 1e-3 * interval_ms if interval_ms else None
    short = interval_s is not None and interval_s <= INSTANT_S
    quantity: Quantity = "instant_power_watts" if short else "average_power_watts"
    model = text(_file(folder, "power1_model_number"))
    device = Device(
        id=_identity(folder, "power_meter", "power1"),
        model=f"ACPI power meter {model or ''}".strip(),
        scope=_acpi_scope(folder, label),
        label=label,
        averaging_s=None if short else interval_s,
        facts={
            "accuracy": text(_file(folder, "power1_accuracy")),
            "average_interval_s": interval_s,
        },
    )
    yield SysfsSensor(device, {quantity: Value((file,), unknown=ACPI_UNKNOWN)})


def _acpi_scope(folder: Path, label: str | None) -> Scope:
    if named := re.fullmatch(r"(\w+) Power Socket [0-9]+", label or ""):
        return SOCKET_RAILS.get(named[1].lower(), "rail")
    if text(_file(folder, "power1_is_battery")) == "1":
        return "battery"
    measured = [path.name.partition(":")[0] for path in (folder / "device/measures").glob("*")]
    return "chassis" if any(name in WHOLE_SYSTEM for name in measured) else "rail"


def _ina(folder: Path, driver: str, channel: int, label: str | None) -> Iterator[SysfsSensor]:
    """An INA monitor gives its power, or voltage and current of the rail (mV times mA are µW)."""
    power = folder / f"power{channel}_input"
    factors = (folder / f"in{channel}_input", folder / f"curr{channel}_input")
    files = (power,) if _there(power) else factors
    if not all(map(_there, files)) or text(folder / f"in{channel}_enable") == "0":
        return
    device = Device(
        id=_identity(folder, driver, str(channel)),
        model=driver,
        scope="board" if label in BOARD_INPUTS else "rail",
        label=label,
    )
    yield SysfsSensor(device, {"instant_power_watts": Value(files)})


def _intel_gpu(folder: Path, driver: str, name: str, scope: Scope) -> Iterator[SysfsSensor]:
    """The whole card, or the package of its chip; the tiles of a card are parts of it."""
    if _there(folder / f"{name}_input"):
        device = Device(
            id=_identity(folder, driver, name),
            model=_gpu_model(folder, driver),
            scope=scope,
            label=text(folder / f"{name}_label"),
            facts={"driver": driver},
        )
        value = Value((folder / f"{name}_input",))
        yield SysfsSensor(device, {"energy_counter_joules": value})


def _amd_gpu(folder: Path) -> Iterator[SysfsSensor]:
    """The chip of an AMD GPU. An APU's power, which holds the CPU, is that of RAPL's package."""
    quantities: Mapping[str, Quantity] = {
        "power1_input": "instant_power_watts",
        "power1_average": "average_power_watts",
    }
    values = {q: Value((folder / name,)) for name, q in quantities.items() if _there(folder / name)}
    apu = _there(folder / "in1_input")  # the voltage of a northbridge, which only an APU has
    if values and not apu:
        device = Device(
            id=_identity(folder, "amdgpu", "power1"),
            model=_gpu_model(folder, "amdgpu"),
            scope="gpu_chip",
            label=text(folder / "power1_label"),
            gpu=True,
            facts={"driver": "amdgpu"},
        )
        yield SysfsSensor(device, values)


def _gpu_model(folder: Path, driver: str) -> str:
    product = text(folder / "device/product_name")
    return product or f"{driver} GPU {text(folder / 'device/device') or ''}".strip()


def _identity(folder: Path, driver: str, channel: str) -> str:
    """Return the name of a sensor that outlasts a boot, as hwmon's numbers do not."""
    parent = folder / "device"
    place = parent.resolve().name if _there(parent) else folder.name
    return f"hwmon:{driver}:{place}:{channel}"


def _file(folder: Path, name: str) -> Path:
    """Return a file of a sensor; older drivers keep it in the folder of the device itself."""
    own = folder / name
    return own if _there(own) else folder / "device" / name


def _there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False
