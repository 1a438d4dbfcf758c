"""What the kernel says about processes that ran out of memory."""

from pathlib import Path


def oom_kills(vmstat: Path = Path("/proc/vmstat")) -> int | None:
    """How many processes the kernel has killed for want of memory since boot, on the whole machine.

    Memory limits of containers count too. None where the kernel does not say (before 4.13, or in
    a sandbox).
    """
    try:
        lines = vmstat.read_text().splitlines()
    except OSError:
        return None
    counts = [int(line.split()[1]) for line in lines if line.startswith("oom_kill ")]
    return counts[0] if counts else None
