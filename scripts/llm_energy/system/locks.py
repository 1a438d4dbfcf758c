"""Locks that the kernel frees when their holder dies, however it dies (flock)."""

import contextlib
import errno
import fcntl
import os
import pwd
import stat
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO

from llm_energy.system.files import open_regular

DEVICE_FOLDERS = (Path("/run/lock"), Path("/tmp"))
"""The first of these that is sticky and open to all holds the locks of the devices: one place for
all users of the host, where nobody removes or replaces the file of another."""

DEVICE_LOCK = "llm-energy-*.lock"
"""Names of the locks of devices."""

RUN_LOCK = "llm-energy-*.run"
"""Names of the locks that are held for a whole run."""


class HeldError(Exception):
    """A lock that is held; the message names its holder."""


Blocked = Callable[[str], None]
"""Takes the holder of a lock, in words, before it is waited for."""


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


@contextmanager
def waiting(
    path: Path, *, shared: bool = False, blocked: Blocked = lambda _holder: None
) -> Iterator[None]:
    """Wait for the lock of `path`, hold it inside the block.

    Args:
        shared: others may hold it too, who want to share it as well.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        _take(file.fileno(), blocked, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield


@contextmanager
def devices(
    names: list[str], *, blocked: Callable[[str, str], None] = lambda _name, _holder: None
) -> Iterator[None]:
    """Hold the host-wide locks of the devices `names` (GPU UUIDs, or `cpu`): one measurement each.

    Taken in sorted order, so that two measurements that share two devices cannot block each other.

    Args:
        blocked: takes the name of a device, and who uses it, before it is waited for.

    Raises:
        PermissionError: a lock is no file that every user may open.
    """
    folder = _device_folder()
    descriptors = []
    try:
        for name in sorted(set(names)):
            path = folder / DEVICE_LOCK.replace("*", name)
            descriptors.append(_hold_shared(path, partial(blocked, name)))
        yield
    finally:
        for descriptor in reversed(descriptors):
            os.close(descriptor)


def hold_for_run(name: str) -> int:
    """Hold a host-wide lock, which no measurement waits for, until the returned descriptor is
    closed.

    Raises:
        HeldError: somebody else holds it.
        PermissionError: it is no file that every user may open.
    """

    def refuse(holder: str) -> None:
        raise HeldError(holder)

    return _hold_shared(_run_lock(name), refuse)


def gpus_for_run(
    uuids: Collection[str], *, blocked: Callable[[str, str], None] = lambda _uuid, _holder: None
) -> list[int]:
    """Hold GPUs, by UUID, for a whole run, until the returned descriptors are closed.

    Runs that share a GPU follow each other, as the engine of a run stays on its GPUs between its
    measurements. They are taken in sorted order, so that two runs cannot block each other.

    Args:
        blocked: takes a UUID, and the process that holds it, before it is waited for.

    Raises:
        PermissionError: a lock is no file that every user may open.
    """
    held = list[int]()
    try:
        for uuid in sorted(uuids):
            held.append(_hold_shared(_run_lock(uuid), partial(blocked, uuid)))
    except BaseException:
        _release(held)
        raise
    return held


def _run_lock(name: str) -> Path:
    return _device_folder() / RUN_LOCK.replace("*", name)


@contextmanager
def no_device(*, blocked: Blocked = lambda _holder: None) -> Iterator[None]:
    """Wait until no measurement of this host holds a device; inside the block none can begin.

    No lock is held while another one is waited for: measurements on other devices go on.

    Args:
        blocked: takes the holder of a device, in words, before it is waited for.
    """
    taken = list[int]()
    try:
        while True:
            for path in sorted(_device_folder().glob(DEVICE_LOCK)):
                try:
                    descriptor = _open_shared(path)
                except PermissionError:
                    continue  # no measurement can hold it either
                taken.append(descriptor)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    _release(taken[:-1])
                    taken = [descriptor]
                    _take(descriptor, blocked, fcntl.LOCK_SH)
                    break
            else:
                break
            _release(taken)
            taken = []
        yield
    finally:
        _release(taken)


def _release(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _device_folder() -> Path:
    return next((f for f in DEVICE_FOLDERS if _is_shared(f)), DEVICE_FOLDERS[-1])


def _is_shared(folder: Path) -> bool:
    """Return True for a folder, not a link to one, that all may write to and that is sticky."""
    with contextlib.suppress(OSError):
        mode = folder.lstat().st_mode
        return stat.S_ISDIR(mode) and bool(mode & stat.S_ISVTX) and bool(mode & stat.S_IWOTH)
    return False


def _hold_shared(path: Path, blocked: Blocked) -> int:
    """Wait for the lock of a file that any user may have made; returns its open descriptor."""
    while True:
        descriptor = _open_shared(path)
        _take(descriptor, blocked)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), path.lstat()):
                return descriptor
        os.close(descriptor)  # it was removed while it was waited for, by a cleaner of old files


def _open_shared(path: Path) -> int:
    """Open a lock for reading, which is enough for flock and which the kernel grants for a file of
    another user in a sticky folder; make it where it is missing."""
    while True:
        try:
            return open_regular(path, os.O_NOFOLLOW)
        except FileNotFoundError:
            with contextlib.suppress(FileExistsError):
                descriptor = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL, 0o444)
                os.fchmod(descriptor, 0o444)  # past the umask
                return descriptor
        except OSError as error:
            raise _not_ours(path, error) from error


def _not_ours(path: Path, error: OSError) -> PermissionError:
    owner = "another user"
    with contextlib.suppress(OSError):
        owner = _user_name(path.lstat().st_uid)
    words = f"not a lock that every user may open ({error.strerror}); {owner} must remove it"
    return PermissionError(errno.EPERM, words, str(path))


def _take(descriptor: int, blocked: Blocked, kind: int = fcntl.LOCK_EX) -> None:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        blocked(_holder_of(descriptor))
        fcntl.flock(descriptor, kind)


def _holder_of(descriptor: int) -> str:
    """Return `process 4711 of alice`: who holds a file's lock, as far as the kernel shows it."""
    seen = os.fstat(descriptor)
    file = f"{os.major(seen.st_dev):02x}:{os.minor(seen.st_dev):02x}:{seen.st_ino}"
    with contextlib.suppress(OSError):
        for line in Path("/proc/locks").read_text().splitlines():
            # 3: FLOCK  ADVISORY  WRITE 4711 fe:00:2173361 0 EOF; one that waits has -> before FLOCK
            words = line.split()
            if words[1] == "FLOCK" and words[5] == file:
                user = Path(f"/proc/{words[4]}").stat().st_uid
                return f"process {words[4]} of {_user_name(user)}"
    return "another process"


def _user_name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"
