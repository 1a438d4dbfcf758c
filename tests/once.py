"""Values that are made once in a session of tests, whichever worker of pytest-xdist comes first."""

import os
import pickle
from collections.abc import Callable
from typing import TypeVar

import pytest
from filelock import FileLock

Value = TypeVar("Value")


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[], Value]) -> Value:
    """Return what `make` makes, or a copy of what another worker made under this name."""
    folder = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # all workers have their folders in this one
    file = folder / f"{name}.pickle"
    with FileLock(f"{file}.lock"):
        if not file.exists():
            file.write_bytes(pickle.dumps(make()))
        made: Value = pickle.loads(file.read_bytes())
    return made
