"""The identity of the worker's code."""

import hashlib
from pathlib import Path


def digest_of(folder: Path) -> str:
    """Return the sha256 over names and contents of the Python files below `folder`."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(f"{path.relative_to(folder)}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
