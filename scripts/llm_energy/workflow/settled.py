"""Results that need no job: they are there, and no younger than the summary that holds them."""

import math
from collections.abc import Iterable
from pathlib import Path


def settled(results: Path, paths: Iterable[str]) -> frozenset[str]:
    """Those of `paths` that exist and are not younger than the oldest file of the summary.

    Without a summary age says nothing: it will be made of all of them.

    Args:
        results: `results/{campaign}`.
        paths: of results, relative to the working directory.
    """
    made = [path.stat().st_mtime for path in (results / "summary").glob("*")]
    summarised = min(made, default=math.inf)
    return frozenset(path for path in paths if _modified(path) <= summarised)


def _modified(path: str) -> float:
    """Seconds since the epoch; NaN, which compares with nothing, for a file that is not there."""
    try:
        return Path(path).stat().st_mtime
    except OSError:
        return math.nan
