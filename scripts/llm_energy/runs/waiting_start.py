"""Starts that wait for GPUs of another run, noted for `status`: they have no run yet."""

import contextlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from llm_energy.runs.run import utc_now
from llm_energy.system.cache import CACHE
from llm_energy.system.files import read_json, sha256_of, write_atomically
from llm_energy.system.processes import ProcessId
from worker.records import read_value

WAITING = CACHE / "waiting"
"""Folder of the notes, one for each folder of results, which one start at a time may add to."""


@dataclass(frozen=True)
class WaitingStart:
    """A start of a campaign that waits."""

    waits_for: str
    """A GPU, and who uses it."""
    since: str
    """ISO 8601, UTC."""
    process: ProcessId
    """Who waits."""


@contextmanager
def noted(results: Path) -> Iterator[Callable[[str], None]]:
    """Give a function that notes, until the end of the block, what a start waits for.

    Args:
        results: the folder that its run is going to add to.
    """
    path, since = _path(results), utc_now()

    def note(waits_for: str) -> None:
        waiting = WaitingStart(waits_for, since, ProcessId.current())
        with contextlib.suppress(OSError):  # it is for those who watch
            write_atomically(path, json.dumps(asdict(waiting)).encode())

    try:
        yield note
    finally:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def waiting_start(results: Path) -> WaitingStart | None:
    """Return the start that waits to add to a folder of results, on this host; None without one."""
    with contextlib.suppress(OSError, ValueError):
        waiting = read_value(WaitingStart, read_json(_path(results)), "waiting")
        if waiting.process.alive():
            return waiting
    return None


def _path(results: Path) -> Path:
    return WAITING / f"{sha256_of(str(results.absolute()))[:12]}.json"
