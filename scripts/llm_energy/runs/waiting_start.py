"""Starts that wait for GPUs of another run, noted for `status`: nothing else shows them yet.

The start of a run on this host waits before it has a run; an allocation of a cluster has one.
"""

import contextlib
import json
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from llm_energy.runs.run import Run, utc_now
from llm_energy.system.cache import CACHE
from llm_energy.system.files import read_json, sha256_of, write_atomically
from llm_energy.system.processes import ProcessId
from worker.records import read_value

WAITING = CACHE / "waiting"
"""Folder of the notes, one for each folder of results, which one start at a time may add to."""

OF_RUN = "waiting.json"
"""Note of an allocation, in the folder of its run."""


@dataclass(frozen=True)
class WaitingStart:
    """A start that waits."""

    waits_for: str
    """A GPU, and who uses it."""
    since: str
    """ISO 8601, UTC."""
    process: ProcessId = field(default_factory=ProcessId.current)
    """Who waits."""
    host: str = field(default_factory=platform.node)


@contextmanager
def noted(path: Path) -> Iterator[Callable[[str], None]]:
    """Give a function that notes in `path`, until the end of the block, what this process waits
    for."""
    since = utc_now()

    def note(waits_for: str) -> None:
        with contextlib.suppress(OSError):  # it is for those who watch
            write_atomically(path, json.dumps(asdict(WaitingStart(waits_for, since))).encode())

    try:
        yield note
    finally:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def note_of(results: Path) -> Path:
    """Return where the start of a run that is going to add to a folder of results notes it."""
    return WAITING / f"{sha256_of(str(results.absolute()))[:12]}.json"


def waiting_starts(results: Path) -> list[WaitingStart]:
    """Return the starts that wait to add to a folder of results."""
    found = []
    with contextlib.suppress(OSError, ValueError):
        start = _read(note_of(results))
        if start.process.alive():
            found.append(start)
    for run in Run.all():
        with contextlib.suppress(OSError, ValueError):  # it does not wait, or ends at this moment
            if run.results == results.absolute() and run.alive():
                found.append(_read(run.folder / OF_RUN))
    return found


def _read(path: Path) -> WaitingStart:
    return read_value(WaitingStart, read_json(path), path.stem)
