"""Compare the room on the disks that a campaign writes to with what it is known to need."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from llm_energy.preflight.findings import Finding
from llm_energy.preflight.input_findings import TO_FETCH
from llm_energy.system.numbers import gigabytes

LOW_BYTES = 2e9
"""Free space below which a disk counts as nearly full. The default campaign needs 0.3 GB.
Provisional."""


@dataclass(frozen=True)
class Disk:
    """One file system, with the folders of ours that lie on it."""

    folders: tuple[str, ...]
    free_bytes: int
    holds_cache: bool
    """Models and environments lie on it."""


def read_disks(cache: Path, results: Path, docker_root: Path | None) -> list[Disk]:
    """Return the file systems of those folders, each once; a folder need not exist yet.

    Args:
        docker_root: None where the campaign has no containers, or the engine does not answer.
    """
    folders: dict[int, list[Path]] = {}
    for path in (cache, results, docker_root):
        if path is not None:
            folders.setdefault(_existing(path).stat().st_dev, []).append(path)
    return [
        Disk(
            folders=tuple(str(path) for path in paths),
            free_bytes=shutil.disk_usage(_existing(paths[0])).free,
            holds_cache=cache in paths,
        )
        for paths in folders.values()
    ]


def _existing(path: Path) -> Path:
    """Return the folder itself, or the nearest parent that exists and is accessible."""
    path = path.absolute()
    return next(folder for folder in (path, *path.parents) if os.access(folder, os.F_OK))


def disk_findings(disks: Sequence[Disk], inputs: Sequence[Finding]) -> list[Finding]:
    """Return one finding for each disk.

    Args:
        inputs: the findings about environments and models.
    """
    return [_finding(disk, inputs if disk.holds_cache else []) for disk in disks]


def _finding(disk: Disk, inputs: Sequence[Finding]) -> Finding:
    known = [size for f in inputs if (size := f.facts.get(TO_FETCH)) is not None]
    unknown = [f.subject for f in inputs if not f.facts.get("ready") and _size_open(f)]
    needed = sum(known)
    facts = {
        "folders": list(disk.folders),
        "free_bytes": disk.free_bytes,
        "needed_bytes": needed,
        "needed_unknown": unknown,
    }
    message = f"{', '.join(disk.folders)}: {gigabytes(disk.free_bytes)} free"
    if needed:
        message += f", {gigabytes(needed)} of models to fetch"
    if unknown:
        message += f"; not known yet: {', '.join(unknown)}"
    if needed > disk.free_bytes:
        return Finding("problem", "disk", f"{message}; make room", facts)
    if disk.free_bytes - needed < LOW_BYTES:
        return Finding("warning", "disk", f"{message}; nearly full: make room", facts)
    return Finding("ok", "disk", message, facts)


def _size_open(finding: Finding) -> bool:
    return finding.facts.get(TO_FETCH) is None and finding.facts.get("kind") != "interpreter"
