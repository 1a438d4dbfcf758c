"""Files by their content: checksums, and the marker that says a cached input is complete."""

import hashlib
import json
import sys
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from llm_energy.system import locks
from llm_energy.system.cache import CACHE
from llm_energy.system.files import write_atomically

FILES = "files"
"""Folder of what was fetched, beside the marker."""

FileFacts = dict[str, Any]
"""`{"sha256", "size", "mtime_ns"}` of one file; size in bytes."""


def file_sha256(path: Path) -> str:
    """Hex sha256 of a file's content, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def facts_of(folder: Path, names: Iterable[str]) -> dict[str, FileFacts]:
    """Checksum, size and time of change of each named file below `folder`, sorted by name."""
    facts = {}
    for name in sorted(names):
        status = (folder / name).stat()
        facts[name] = {
            "sha256": file_sha256(folder / name),
            "size": status.st_size,
            "mtime_ns": status.st_mtime_ns,
        }
    return facts


def files_sha256(checksums: Mapping[str, str]) -> str:
    """One checksum for several files: sha256 of the sorted `sha256  name` lines."""
    lines = sorted(f"{sha256}  {name}\n" for name, sha256 in checksums.items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def files_below(folder: Path) -> list[str]:
    """The files of a folder, relative and sorted; hidden files and folders do not count."""
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(str(p) for p in paths if not any(part.startswith(".") for part in p.parts))


def alone(folder: Path) -> AbstractContextManager[None]:
    """Be the only process that fills a folder of the cache, whatever campaign it works for."""

    def blocked(holder: str) -> None:
        print(f"Waiting for {folder.name}, made ready by {holder}", file=sys.stderr, flush=True)

    return locks.waiting(CACHE / "locks" / f"{folder.name}.lock", blocked=blocked)


def write_marker(path: Path, content: Mapping[str, Any]) -> None:
    """Write a readiness marker: it is there only when all that it names is.

    One line for each entry: thousands of token ids on a line of their own would be no help.
    """
    lines = (f"{json.dumps(key)}: {json.dumps(value)}" for key, value in content.items())
    write_atomically(path, ("{\n" + ",\n".join(lines) + "\n}\n").encode())
