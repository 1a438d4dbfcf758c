"""Locks that the kernel frees when their holder dies, however it dies (flock)."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

DEVICE_LOCKS = Path("/tmp/llm-energy-locks")
"""One place for all users of the host, whatever their TMPDIR; not sticky, so that each may open
what another made (fs.protected_regular)."""


def hold(path: Path) -> IO[str] | None:
    """Take the lock of `path` for as long as the returned file stays open; None if it is taken.

    The file is never deleted: a lock on a deleted file would exclude nobody.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file


def holder(path: Path) -> str:
    """The id that the holder of a lock wrote, for messages."""
    try:
        return path.read_text().strip() or "unknown"
    except OSError:
        return "unknown"


@contextmanager
def waiting(path: Path) -> Iterator[None]:
    """Wait for the lock of `path`, hold it inside the block."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def devices(names: list[str]) -> Iterator[None]:
    """Hold the host-wide locks of the devices `names` (GPU UUIDs, or `cpu`): one measurement each.

    Taken in sorted order, so that two measurements that share two devices cannot block each other.
    """
    if not DEVICE_LOCKS.exists():
        DEVICE_LOCKS.mkdir(exist_ok=True)
        DEVICE_LOCKS.chmod(0o777)  # past the umask: the devices are shared by all users
    files = []
    try:
        for name in sorted(set(names)):
            descriptor = os.open(DEVICE_LOCKS / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o666)
            files.append(descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        for descriptor in reversed(files):
            os.close(descriptor)
