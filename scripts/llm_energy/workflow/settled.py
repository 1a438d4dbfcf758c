"""Results that need no job."""

import math
import os
import time
from collections.abc import Iterable
from pathlib import Path


def settled(results: Path, paths: Iterable[str]) -> frozenset[str]:
    """Those of `paths` that exist and are not younger than the oldest file of the summary.

    They need no job. Without a summary age says nothing, for it will be made of all of them; but
    those that are newer than the clock need one, which corrects their time.
    """
    made = (_modified(str(path)) for path in (results / "summary").glob("*"))
    summarised = min([*(age for age in made if not math.isnan(age)), time.time()])
    return frozenset(path for path in paths if _modified(path) <= summarised)


def _modified(path: str) -> float:
    """Seconds since the epoch; NaN, which compares with nothing, for a file that is not there."""
    try:
        return os.stat(path).st_mtime  # noqa: PTH116 - half the time, for ten thousand
    except OSError:
        return math.nan
