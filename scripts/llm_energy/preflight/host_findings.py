"""Describe this host: its hardware, its load, and what makes its measurements noisy."""

import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from llm_energy.power.rapl import RaplMeter
from llm_energy.power.sensor_probe import probe
from llm_energy.power.sources import CLASSES
from llm_energy.power.sysfs import text
from llm_energy.preflight.findings import Finding, Status
from llm_energy.results.codes import ENERGY_REASONS
from llm_energy.system.host import cpu_model
from llm_energy.system.numbers import gigabytes
from llm_energy.system.variables import decisive, shown

BUSY_SHARE, BUSY_LEAST = 0.05, 0.5
"""Load that counts as other work: a twentieth of the cores, and no less than half a core, which
this command itself may leave in the average over a minute. Provisional."""

FIXED = "performance"
"""The governor that does not lower the clock where a core has gaps."""

CPU_ENERGY = "cpu energy"

POWERCAP = CLASSES / "powercap"

PROBE_S = 0.5
"""How long the counters are watched; they move about every millisecond."""


@dataclass(frozen=True)
class Host:
    """The state of the host, read once."""

    system: str
    kernel: str
    cpu: str
    cores: int
    """Logical cores that this process may use."""
    memory_bytes: int
    available_bytes: int
    """Memory that programs could get now without swapping."""
    load_1min: float
    """Processes that ran or waited for a core or a disk, mean over a minute."""
    governors: tuple[str, ...]
    """CPU frequency governors in use; empty where the kernel has none."""


def read_host(sys: Path = Path("/sys")) -> Host:
    """Read the state of this host now."""
    import psutil  # here, because measuring jobs import this module and rarely read the host

    memory = psutil.virtual_memory()
    governors = sys.glob("devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor")
    return Host(
        system=_system(),
        kernel=platform.release(),
        cpu=cpu_model(),
        cores=len(os.sched_getaffinity(0)),
        memory_bytes=memory.total,
        available_bytes=memory.available,
        load_1min=os.getloadavg()[0],
        governors=tuple(sorted({governor for path in governors if (governor := text(path))})),
    )


def host_findings(host: Host) -> list[Finding]:
    memory = (
        f"{gigabytes(host.memory_bytes)} of memory, {gigabytes(host.available_bytes)} available"
    )
    message = f"{host.system}, Linux {host.kernel}, {host.cpu}, {host.cores} cores, {memory}"
    return [Finding("ok", "host", message, asdict(host)), _load(host), _governor(host)]


def variable_findings(environment: Mapping[str, str]) -> list[Finding]:
    """Name the variables of the user that engines as processes inherit and that may change them."""
    variables = shown(decisive(environment))
    if not variables:
        return []
    listed = ", ".join(f"{name}={value}" for name, value in variables.items())
    message = f"engines that run as processes inherit {listed}; results record them"
    return [Finding("note", "variables", message, {"variables": variables})]


def cpu_energy_finding(*, cpu: str, needed: bool, root: Path = POWERCAP) -> Finding:
    """Report whether RAPL can be read, and the reason if not.

    Args:
        needed: the campaign measures on the CPU, so that it has no other source of energy.
    """
    lacking: Status = "warning" if needed else "note"
    meter = RaplMeter.open(root, cpu_model=cpu)
    if meter is None:
        empty = "every energy will be empty" if needed else "CPU energy will be empty"
        message = f"no RAPL domains in {root} (usual in virtual machines): {empty}, with its reason"
        return Finding(lacking, CPU_ENERGY, message, {"domains": []})
    zones = probe([meter], duration_s=PROBE_S)
    reasons = {id_: z["fields"]["energy_counter_joules"]["reason"] for id_, z in zones.items()}
    facts = {
        "domains": [
            {"id": id_, "label": z["label"], "scope": z["scope"], "reason": reasons[id_]}
            for id_, z in zones.items()
        ]
    }
    names = {id_: f"{id_} ({zone['label'] or 'name unknown'})" for id_, zone in zones.items()}
    readable = ", ".join(names[id_] for id_, code in reasons.items() if code is None)
    message = f"RAPL can be read: {readable or 'nothing'}; it is the whole host's"
    for code in sorted({code for code in reasons.values() if code}):
        lost = ", ".join(names[id_] for id_, own in reasons.items() if own == code)
        message += f"; not {lost}: {ENERGY_REASONS[code]}"
    for id_, zone in zones.items():
        if zone["mirror_of"]:
            message += f"; {names[id_]} repeats {names[zone['mirror_of']]}, which counts once"
    packages = [reasons[id_] for id_, zone in zones.items() if zone["scope"] == "cpu_package"]
    sound = bool(packages) and not any(packages)
    return Finding("ok" if sound else lacking, CPU_ENERGY, message, facts)


def forbidden_cpu_energy(root: Path = POWERCAP) -> str | None:
    """Return what to do where RAPL exists and this user may not read it; else None."""
    meter = RaplMeter.open(root, cpu_model="")
    if meter is None:
        return None
    codes = [
        meter.read(device, slow=False).unavailable.get("energy_counter_joules")
        for device in meter.devices
    ]
    return ENERGY_REASONS["permission_denied"] if "permission_denied" in codes else None


def _load(host: Host) -> Finding:
    facts = {"load_1min": host.load_1min}
    busy = f"a load of {host.load_1min:.1f} over the last minute, on {host.cores} cores"
    if host.load_1min <= max(BUSY_LEAST, BUSY_SHARE * host.cores):
        return Finding("ok", "load", busy, facts)
    remedy = "other work makes measurements noisy: end it before you measure"
    return Finding("warning", "load", f"{busy}; {remedy}", facts)


def _governor(host: Host) -> Finding:
    facts, subject = {"governors": list(host.governors)}, "cpu clock"
    if not host.governors:
        message = "the kernel shows no CPU frequency governor (usual in virtual machines)"
        return Finding("unknown", subject, message, facts)
    message = f"CPU frequency governor {', '.join(host.governors)}"
    if host.governors == (FIXED,):
        return Finding("ok", subject, message, facts)
    remedy = f"`sudo cpupower frequency-set -g {FIXED}` holds the clock up"
    return Finding("warning", subject, f"{message}: the clock follows the load; {remedy}", facts)


def _system() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    except OSError:
        return "Linux"
