"""The places of files in a results folder: every path of one is made, read and searched for here.

    measurements/{spec}/cycle-{cycle}.json              anchors/{spec}/cycle-{cycle}.json
    failures/{spec}/cycle-{cycle}.attempt-{n}.json      failures/anchors/{spec}/...
    requests/{spec}/cycle-{cycle}.parquet, series/...   decisions/{spec}/{rule}.json
    superseded/{time}/                                  all of that, of results that were replaced

`{spec}` is the hash of all that identifies what was measured. The name of an experiment is a label
of the campaign file of the day, and stands in no path.
"""

import contextlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["measurements", "anchors"]
SideKind = Literal["requests", "series"]

MEASURED: Kind = "measurements"
ANCHORS: Kind = "anchors"

SUPERSEDED = "superseded"
"""Folder of results that were measured again, with all that belongs to them."""

REPLICATE = {"replicate": 2}
"""Addition to the spec of an A/A control: its number, where its base is the first replicate."""

REPLICATE_NAME = ".a_a"
"""End of the name of an A/A control."""

COMPOSE_FILE = "compose.yaml"
"""File of the target `compose`, for this folder of this machine."""

SPEC = "[0-9a-f]{12}"
"""Pattern of the hash of a spec."""

JUDGEMENT = "highest-good_"
"""Beginning of the name of a judgement, which lies among the decisions."""

FOLDERS = (
    *("measurements", "anchors", "failures", "decisions", "requests", "series", "runs"),
    *("environment", "superseded", "summary", "tables", "figures", "archive"),
)
"""Folders in a results folder."""

GLOBS = {
    "measurements": ["measurements/*/cycle-*.json"],
    "anchors": ["anchors/*/cycle-*.json"],
    "failures": [f"failures/{below}*/cycle-*.attempt-*.json" for below in ("", "anchors/")],
    "decisions": ["decisions/*/*.json"],
    "requests": ["requests/**/*.parquet"],
    "series": ["series/**/*.parquet"],
    "runs": ["runs/*.json"],
    "environment": ["environment/*.json"],
    "packages": ["environment/*.txt"],
    "superseded": ["superseded/*"],
}
"""Where the files of each kind lie. Side files may lie elsewhere than today's are written: their
results name them."""


SIDE_FILE = re.compile(r"(requests|series)/[^./][^/]*(/[^./][^/]*)*")
"""Path of a side file, which leads out of no folder."""


@dataclass(frozen=True)
class Place:
    """The measurement that a result's path names."""

    kind: Kind
    spec_hash: str
    cycle: int


def files(folder: Path, *kinds: str) -> Iterator[Path]:
    """Yield every file of these kinds (keys of `GLOBS`) in a results folder, sorted by kind."""
    for kind in kinds:
        for pattern in GLOBS[kind]:
            yield from sorted(folder.glob(pattern))


def names(folder: Path, top: str) -> set[str]:
    """Return the path of everything in the folders of specs below `top`, relative to a results
    folder, without a `Path` for each, which is slow for ten thousand.

    Raises:
        OSError: one of them cannot be read.
    """
    found = set[str]()
    for spec in _names_in(f"{folder}/{top}"):
        found.update(f"{top}/{spec}/{name}" for name in _names_in(f"{folder}/{top}/{spec}"))
    return found


def _names_in(folder: str) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - a Path for each name would take most of the time
    except (FileNotFoundError, NotADirectoryError):
        return []


def cycles_of(folder: Path, spec_hash: str, kind: Kind = MEASURED) -> list[Path]:
    """Return the results of one experiment in a results folder, by cycle."""
    return sorted((folder / kind / spec_hash).glob("cycle-*.json"))


def folders(results: Path) -> list[Path]:
    """Return a results folder, and below it one for each time that results were superseded."""
    return [results, *(path for path in files(results, "superseded") if path.is_dir())]


def result_pattern(kind: Kind) -> str:
    """Return the path of a result with the wildcards `spec` and `cycle`."""
    return f"{kind}/{{spec}}/cycle-{{cycle}}.json"


def result_path(spec_hash: str, cycle: int, kind: Kind = MEASURED) -> str:
    """Return the path of a result."""
    return result_pattern(kind).format(spec=spec_hash, cycle=f"{cycle:02d}")


def place_of(path: str) -> Place:
    """Return the measurement that the path of a result names.

    Raises:
        ValueError: it is the path of no result.
    """
    match path.split("/"):
        case ["measurements" | "anchors" as kind, spec_hash, name]:
            if found := re.fullmatch(r"cycle-(\d+)\.json", name):
                return Place(kind, spec_hash, int(found[1]))
    raise ValueError(f"{path} is the path of no result")


def _own(path: str) -> str:
    """Return what the paths of all files that belong to a result share."""
    return path.removeprefix("measurements/").removesuffix(".json")


def side_path(path: str, kind: SideKind) -> str:
    """Return the path of a file with raw data of a result."""
    return f"{kind}/{_own(path)}.parquet"


def side_files_of(folder: Path, path: str) -> set[str]:
    """Return the paths of the raw data of a result: those that it names, and those of its place."""
    named = set[str]()
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError, AttributeError):
        content = json.loads((folder / path).read_bytes())
        named = {str(file["path"]) for file in content["side_files"].values()}
    own = {side_path(path, "requests"), side_path(path, "series")}
    return own | {name for name in named if SIDE_FILE.fullmatch(name)}


def failure_path(path: str, attempt: int) -> str:
    """Return the path of the record of an attempt at a result that failed."""
    return f"failures/{_own(path)}.attempt-{attempt}.json"


def failed_place(path: str) -> tuple[Place, int]:
    """Return the measurement and the attempt that the path of a failure record names.

    Raises:
        ValueError: it is the path of no failure record.
    """
    *folders, name = path.split("/")
    found = re.fullmatch(r"cycle-(\d+)\.attempt-(\d+)\.json", name)
    if found is None:
        raise ValueError(f"{path} is the path of no failure record")
    kind = ANCHORS if folders[1:-1] == [ANCHORS] else MEASURED
    return Place(kind, folders[-1], int(found[1])), int(found[2])


def decision_path(spec_hash: str, *, first: int, target_relative_half_width: float) -> str:
    """Return the path of a decision on cycles.

    It says how it was decided: another first stage or target is another decision.
    """
    rule = f"first-{first}_target-{target_relative_half_width:g}"
    return f"decisions/{spec_hash}/{rule}.json"


def judgement_path(spec_hash: str, *, cycles: int, objectives: str) -> str:
    """Return the path of the judgement of a rate that a search visited.

    Args:
        objectives: hash of those that it is judged by: others make another judgement.
    """
    return f"decisions/{spec_hash}/{JUDGEMENT}cycles-{cycles}_{objectives}.json"
