"""Name the processes that hold NVIDIA devices or the management library: monitors among them."""

import os
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from llm_energy.preflight.findings import Finding
from llm_energy.system.numbers import plural
from llm_energy.system.processes import process_name

SUBJECT = "gpu monitors"
DEVICES, LIBRARY = "/dev/nvidia", "libnvidia-ml.so"
NEEDED = "nvidia-persiste"
"""nvidia-persistenced, as the kernel cuts its name: it holds every GPU, and polls nothing."""

MONITORS = ("nv-hostengine", "dcgm-exporter", "nvidia-smi", "nvtop", "nvitop")
"""Names that suffice where /proc does not show what a process holds."""

REMEDY = (
    "a monitor that polls can raise the power of an idle GPU, and its queries are work: stop it "
    "while you measure, such as: sudo systemctl stop nvidia-dcgm"
)


@dataclass(frozen=True)
class Holder:
    """A process that holds a GPU or the management library."""

    pid: int
    name: str
    holds: str
    """`devices`, `library`, or `unknown` where it is known by its name alone."""


def holders(known: Collection[int]) -> tuple[list[Holder], int]:
    """Return who holds NVIDIA devices or NVML, and the number of processes that may not be read.

    Args:
        known: ids of processes that are left out, beside this one and those that started it.
    """
    left_out = {*known, *_ancestors()}
    found, unread = [], 0
    for pid in sorted(int(entry.name) for entry in Path("/proc").glob("[0-9]*")):
        name = process_name(pid)
        if pid in left_out or name is None or name == NEEDED:
            continue
        holds = _holds(pid)
        if holds is None and name not in MONITORS:
            unread += 1
        elif holds != "":
            found.append(Holder(pid, name, holds or "unknown"))
    return found, unread


def _ancestors() -> Iterator[int]:
    pid = os.getpid()
    while pid > 1:
        yield pid
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return
        pid = int(stat.rpartition(")")[2].split()[1])


def _holds(pid: int) -> str | None:
    """Return what a process holds; empty: nothing, None: that may not be read."""
    try:
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):  # closed meanwhile
                if str(link.readlink()).startswith(DEVICES):
                    return "devices"
        maps = Path(f"/proc/{pid}/maps").read_text(errors="replace")
    except PermissionError:
        return None
    except OSError:
        return ""  # it has ended
    return "library" if LIBRARY in maps else ""


def holder_finding(known: Collection[int]) -> Finding:
    """Return the finding about them.

    Args:
        known: ids of processes that other findings name already.
    """
    found, unread = holders(known)
    facts = {
        "processes": [{"pid": h.pid, "name": h.name, "holds": h.holds} for h in found],
        "unread_processes": unread,
    }
    hidden = f" (not looked into, for lack of rights: {plural(unread, 'other')})" if unread else ""
    if not found:
        message = f"no other process is seen to hold NVIDIA devices or NVML{hidden}"
        return Finding("note" if unread else "ok", SUBJECT, message, facts)
    names = ", ".join(f"process {holder.pid} ({holder.name})" for holder in found)
    message = f"NVIDIA devices or NVML are held by {names}{hidden}; {REMEDY}"
    return Finding("warning", SUBJECT, message, facts)
