"""Memory of an engine: shared memory that outlives a killed one, and kills for lack of memory.

Engines with processes of their own pass messages through files in /dev/shm (vLLM: up to 170 MB),
which only an orderly end removes. A container has as little as 64 MB of it.
"""

import contextlib
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

FOLDER = Path("/dev/shm")


def shared_files(folder: Path = FOLDER) -> frozenset[tuple[str, int]]:
    """Return (path, inode) of every file: its times depend on a clock that may be set."""
    found = set()
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            found.add((str(path), path.stat().st_ino))
    return frozenset(found)


def release_shared_memory(
    group: int, *, before: Collection[tuple[str, int]], folder: Path = FOLDER
) -> None:
    """Remove the names of files that the processes of a group share, just before they end.

    Processes that have them open keep them until then. For `before` see `find_shared_memory`.
    """
    remove(find_shared_memory(group, before=before, folder=folder))


def find_shared_memory(
    group: int, *, before: Collection[tuple[str, int]], folder: Path = FOLDER
) -> set[Path]:
    """Return the files that the processes of a group share.

    Args:
        before: the result of `shared_files` when the group began; these belong to others.
    """
    return {
        path
        for pid in _members(group)
        for path in _mapped(pid, folder)
        if (str(path), _inode(path)) not in before
    }


def remove(paths: Iterable[Path]) -> None:
    """Remove the files that still exist and may be removed."""
    for path in paths:
        with contextlib.suppress(OSError):
            path.unlink()


def oom_kills(vmstat: Path = Path("/proc/vmstat")) -> int | None:
    """Return how many processes the kernel has killed for lack of memory since boot.

    The count is of the whole machine and includes memory limits of containers. None where the
    kernel has no such count (before 4.13, or in a sandbox).
    """
    try:
        lines = vmstat.read_text().splitlines()
    except OSError:
        return None
    counts = [int(line.split()[1]) for line in lines if line.startswith("oom_kill ")]
    return counts[0] if counts else None


def _inode(path: Path) -> int:
    """Return the inode of a path, 0 if it is gone."""
    try:
        return path.stat().st_ino
    except OSError:
        return 0


def _members(group: int) -> Iterator[int]:
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError):
            # pid (name) state parent group ...; the name may hold anything
            if int(stat.read_text().rpartition(")")[2].split()[2]) == group:
                yield int(stat.parent.name)


def _mapped(pid: int, folder: Path) -> Iterator[Path]:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            # address permissions offset device inode path
            path = line.split(maxsplit=5)[5:]
            if path and path[0].startswith(f"{folder}/") and not path[0].endswith(" (deleted)"):
                yield Path(path[0])
