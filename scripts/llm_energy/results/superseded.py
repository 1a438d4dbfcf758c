"""Results that are measured again: they and all that belongs to them are kept aside."""

import shutil
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from llm_energy.results import older_layout
from llm_energy.results.layout import SUPERSEDED, side_files_of


def set_aside(results: Path, replaced: Mapping[str, Iterable[str]]) -> None:
    """Move results and their side files into a new folder below `superseded/`.

    A result goes last. Where this ends in between, its place is still taken, so that no new
    measurement writes its raw data over those of the old one.

    Args:
        replaced: path of a result -> other files that go with it, all relative to `results`.
    """
    target = _new_folder(results / SUPERSEDED)
    for path, others in replaced.items():
        for name in (*sorted(side_files_of(results, path)), *others, path):
            if (results / name).exists():
                older_layout.forget(results, name)
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.move(results / name, target / name)


def _new_folder(above: Path) -> Path:
    """Return a folder of the time, which is not there even where the clock was set back."""
    now = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    names = (now if number == 1 else f"{now}-{number}" for number in count(1))
    return next(above / name for name in names if not (above / name).exists())
