"""Write every file of a campaign whole or not at all, and give equal values one text and hash."""

import contextlib
import ctypes
import errno
import hashlib
import json
import os
import stat
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

TEMPORARY = ".*.tmp"
"""Pattern of the names of files that are being written."""

ABANDONED_S = 600.0
"""A file that has not changed for so long is no longer being written."""

AT_FDCWD = -100
RENAME_NOREPLACE = 1
"""renameat2(2): fail with EEXIST instead of replacing a file."""


def is_abandoned(path: Path) -> bool:
    """Return True for a file or folder whose maker was killed: nothing changes it any more."""
    try:
        return time.time() - path.stat().st_mtime > ABANDONED_S
    except OSError:
        return False


def remove_abandoned(paths: Iterable[Path]) -> None:
    """Remove those of these files whose writers were killed; what cannot be removed stays."""
    for path in filter(is_abandoned, paths):
        with contextlib.suppress(OSError):  # a folder, or of another user
            path.unlink()


def open_regular(path: Path | str, flags: int = 0) -> int:
    """Open a file for reading; a pipe or a device in its place would never end.

    Args:
        flags: further ones of open(2), such as O_NOFOLLOW.

    Returns:
        Its descriptor, which the caller closes.

    Raises:
        OSError: not readable, or no regular file.
    """
    # Without O_NONBLOCK a pipe would wait for a writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | flags)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EINVAL, "no regular file", str(path))


def read_regular(path: Path | str) -> bytes:
    """Return the content of a file, opened as by `open_regular`."""
    with os.fdopen(open_regular(path), "rb", buffering=0) as file:
        return file.read()


def read_lines(path: Path) -> Iterator[Any]:
    """Yield the JSON value in each line of a record that was added to line by line.

    A line that a full disk or an end of the process cut short is left out.

    Raises:
        OSError: not readable; none where there is no such file.
    """
    with contextlib.suppress(FileNotFoundError):
        for line in read_regular(path).splitlines():
            with contextlib.suppress(ValueError):
                yield json.loads(line)


class DamagedError(ValueError):
    """A record that cannot be used; the message says why, such as `no complete JSON`."""


def read_json(path: Path) -> Any:
    """Return the JSON value in a file.

    Raises:
        FileNotFoundError: there is no such file.
        DamagedError: it is no file, not readable, or no JSON.
    """
    try:
        return json.loads(read_regular(path))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DamagedError(f"not readable: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise DamagedError("no complete JSON") from error


def read_object(path: Path, *needed: str) -> dict[str, Any]:
    """Return the JSON object in a file.

    Args:
        needed: keys that it must have.

    Raises:
        FileNotFoundError: there is no such file.
        DamagedError: it is no file, not readable, no JSON, or no such object.
    """
    content = read_json(path)
    if not isinstance(content, dict):
        raise DamagedError("no JSON object")
    if lacking := [key for key in needed if key not in content]:
        raise DamagedError(f"without {' or '.join(lacking)}")
    return content


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, where they are missing.

    Raises:
        NotADirectoryError: a file or a link that leads nowhere lies in its place.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:  # which must not pass for that of the file in the folder
        raise NotADirectoryError(errno.ENOTDIR, "Not a directory", error.filename) from error


def write_atomically(path: Path, content: bytes) -> None:
    """Write `content` under a temporary name in the same folder, fsync, rename."""
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        _write(temporary, content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_new(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, as `write_atomically`, and never in place of another.

    Raises:
        FileExistsError: there is one, which stays as it is.
        OSError: this file system can neither link nor rename without replacing.
    """
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        _write(temporary, content)
        try:
            path.hardlink_to(temporary)
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            _rename_without_replacing(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _rename_without_replacing(source: Path, target: Path) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    names = (AT_FDCWD, bytes(source), AT_FDCWD, bytes(target))
    if library.renameat2(*names, RENAME_NOREPLACE):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(target))


def canonical_json(value: Any) -> str:
    """The one JSON text of a value: sorted keys, no spaces, so that equal values hash equal."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def sha256_of(value: Any) -> str:
    """Hex sha256 of the canonical JSON of `value`."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()
