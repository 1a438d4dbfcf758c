"""Shared memory that a killed engine would leave behind: the kernel frees it with its last file.

Engines with processes of their own pass messages through files in /dev/shm (vLLM: up to 170 MB),
which only an orderly end removes. A container has as little as 64 MB of it.
"""

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

FOLDER = Path("/dev/shm")


def release_shared_memory(group: int, *, since: float, folder: Path = FOLDER) -> None:
    """Remove the names of what the processes of a group share; call it just before they end.

    Those who have it open keep it until then. For `since` see `find_shared_memory`.
    """
    remove(find_shared_memory(group, since=since, folder=folder))


def find_shared_memory(group: int, *, since: float, folder: Path = FOLDER) -> set[Path]:
    """What the processes of a group share.

    Args:
        since: wall-clock time of the group's begin; what is older belongs to somebody else.
    """
    return {
        path for pid in _members(group) for path in _mapped(pid, folder) if _born(path) >= since
    }


def remove(paths: Iterable[Path]) -> None:
    """Remove what is still there and ours."""
    for path in paths:
        with contextlib.suppress(OSError):
            path.unlink()


def _born(path: Path) -> float:
    """Wall-clock time of its last change of name or owner; 0 if it is gone."""
    try:
        return path.stat().st_ctime
    except OSError:
        return 0.0


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
