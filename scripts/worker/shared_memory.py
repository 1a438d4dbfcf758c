"""Shared memory that a killed engine would leave behind: the kernel frees it with its last file.

Engines with processes of their own pass messages through files in /dev/shm (vLLM: up to 170 MB),
which only an orderly end removes. A container has as little as 64 MB of it.
"""

import contextlib
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

FOLDER = Path("/dev/shm")


def shared_files(folder: Path = FOLDER) -> frozenset[tuple[str, int]]:
    """(path, inode) of everything there is now. Times of files are of a clock that may be set."""
    found = set()
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            found.add((str(path), path.stat().st_ino))
    return frozenset(found)


def release_shared_memory(
    group: int, *, before: Collection[tuple[str, int]], folder: Path = FOLDER
) -> None:
    """Remove the names of what the processes of a group share; call it just before they end.

    Those who have it open keep it until then. For `before` see `find_shared_memory`.
    """
    remove(find_shared_memory(group, before=before, folder=folder))


def find_shared_memory(
    group: int, *, before: Collection[tuple[str, int]], folder: Path = FOLDER
) -> set[Path]:
    """What the processes of a group share.

    Args:
        before: what `shared_files` found when the group began: it belongs to somebody else.
    """
    return {
        path
        for pid in _members(group)
        for path in _mapped(pid, folder)
        if (str(path), _inode(path)) not in before
    }


def remove(paths: Iterable[Path]) -> None:
    """Remove what is still there and ours."""
    for path in paths:
        with contextlib.suppress(OSError):
            path.unlink()


def _inode(path: Path) -> int:
    """Which file has that name; 0 if it is gone."""
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
