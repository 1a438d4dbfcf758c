"""Compare the room on the disks that a campaign writes to with what it is known to need."""

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
        if path is not None and (there := _existing(path)) is not None:
            folders.setdefault(there.stat().st_dev, []).append(path)
    disks = []
    for paths in folders.values():
        there = _existing(paths[0])
        assert there is not None
        names = tuple(str(path) for path in paths)
        disks.append(Disk(names, shutil.disk_usage(there).free, cache in paths))
    return disks


def _existing(path: Path) -> Path | None:
    """Return the folder itself, or the nearest parent that exists and is accessible."""
    for folder in (path.absolute(), *path.absolute().parents):
        try:
            folder.stat()
        except OSError:
            continue
        return folder
    return None


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
