"""This host: what it is, how much of it is free, and what makes its measurements noisy."""

import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path

from llm_energy.preflight.findings import Finding
from llm_energy.system.host import cpu_model
from llm_energy.system.sizes import gigabytes

BUSY_SHARE, BUSY_LEAST = 0.05, 0.5
"""Load that counts as other work: a twentieth of the cores, and no less than half a core, which
this command itself may leave in the average over a minute. Provisional."""

FIXED = "performance"
"""The governor that does not lower the clock where a core has gaps."""


@dataclass(frozen=True)
class Host:
    """What the kernel says; None where it does not."""

    system: str
    kernel: str
    cpu: str
    cores: int
    """Logical ones that this process may use."""
    memory_bytes: int | None
    available_bytes: int | None
    """What programs could get now without swapping."""
    load_1min: float
    """Processes that ran or waited for a core or a disk, mean over a minute."""
    governors: tuple[str, ...]
    """CPU frequency governors in use; empty where the kernel has none."""


def read_host(proc: Path = Path("/proc"), sys: Path = Path("/sys")) -> Host:
    """What this machine and its system are, read now."""
    memory = _memory(proc / "meminfo")
    governors = sys.glob("devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor")
    return Host(
        system=_system(),
        kernel=platform.release(),
        cpu=cpu_model(),
        cores=len(os.sched_getaffinity(0)),
        memory_bytes=memory.get("MemTotal"),
        available_bytes=memory.get("MemAvailable"),
        load_1min=float((proc / "loadavg").read_text().split()[0]),
        governors=tuple(sorted({path.read_text().strip() for path in governors})),
    )


def host_findings(host: Host) -> list[Finding]:
    return [_described(host), _load(host), _governor(host)]


def _described(host: Host) -> Finding:
    memory = "memory unknown"
    if host.memory_bytes is not None and host.available_bytes is not None:
        memory = (
            f"{gigabytes(host.memory_bytes)} of memory, {gigabytes(host.available_bytes)} available"
        )
    message = f"{host.system}, Linux {host.kernel}, {host.cpu}, {host.cores} cores, {memory}"
    return Finding("ok", "host", message, asdict(host))


def _load(host: Host) -> Finding:
    facts = {"load_1min": host.load_1min}
    busy = f"a load of {host.load_1min:.1f} over the last minute, on {host.cores} cores"
    if host.load_1min <= max(BUSY_LEAST, BUSY_SHARE * host.cores):
        return Finding("ok", "load", busy, facts)
    remedy = "other work makes measurements noisy: end it before you measure"
    return Finding("warning", "load", f"{busy}; {remedy}", facts)


def _governor(host: Host) -> Finding:
    facts = {"governors": list(host.governors)}
    if not host.governors:
        message = "the kernel shows no CPU frequency governor (usual in virtual machines)"
        return Finding("unknown", "cpu clock", message, facts)
    names = ", ".join(host.governors)
    if host.governors == (FIXED,):
        return Finding("ok", "cpu clock", f"CPU frequency governor {names}", facts)
    remedy = f"`sudo cpupower frequency-set -g {FIXED}` holds the clock up"
    message = f"CPU frequency governor {names}: the clock follows the load; {remedy}"
    return Finding("warning", "cpu clock", message, facts)


def _system() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    except OSError:
        return "Linux"


def _memory(meminfo: Path) -> dict[str, int]:
    """Lines `MemTotal:  123 kB`, in bytes."""
    lines = (line.split() for line in meminfo.read_text().splitlines())
    return {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines if words[-1] == "kB"}
