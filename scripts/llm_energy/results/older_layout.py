"""Results of the older layout, whose paths held the name of the experiment, and today's places.

    measurements/{experiment}/{spec}/cycle-{cycle}.json -> measurements/{spec}/cycle-{cycle}.json

Decisions, failures and anchors likewise, also of superseded results. Power series and requests stay
where they are: their results name them. Nothing is moved or removed.
"""

import contextlib
import hashlib
import os
import re
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from llm_energy.results import layout
from llm_energy.results.result import ResultError, read_result, replicate_hash

FOLDERS = ("measurements", "anchors", "decisions", "failures", "failures/anchors")


@dataclass(frozen=True)
class Old:
    """A file in its old place, below a results folder."""

    top: str
    name: str
    """Name of the experiment on the day it was measured."""
    spec_hash: str
    file: str

    @property
    def path(self) -> str:
        return f"{self.top}/{self.name}/{self.spec_hash}/{self.file}"


def links(results: Path, names: Mapping[str, str]) -> dict[str, str]:
    """Return today's place -> old place of every file that lies in an old place alone.

    Args:
        names: hash of a spec -> name of the experiment in the campaign's file. Of two files of one
            place the one under this name is taken, else that of the larger folder.
    """
    found = dict[str, str]()
    for folder in layout.folders(results):
        below = folder.relative_to(results)
        for new, old in _links(folder, names).items():
            found[(below / new).as_posix()] = (below / old).as_posix()
    return found


def link(results: Path, found: Mapping[str, str]) -> None:
    """Give every file of `links` today's place as well; what is there stays.

    Raises:
        OSError: the folder cannot be written.
    """
    for new, old in found.items():
        target, source = results / new, results / old
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            target.hardlink_to(source)
        except FileExistsError:
            continue
        except OSError:  # a file system without hard links
            temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
            shutil.copy2(source, temporary)
            temporary.replace(target)


def doubles(results: Path) -> Iterator[Path]:
    """Yield every file in an old place whose content lies in today's place as well."""
    for folder in layout.folders(results):
        if olds := list(_olds(folder)):
            tops = {old.top for old in olds}
            today = {_content(path) for top in tops for path in (folder / top).glob("*/*.json")}
            places = (folder / old.path for old in olds)
            yield from (path for path in places if _content(path) in today)


def forget(results: Path, name: str) -> None:
    """Remove the old places of a file that is about to leave today's, where its content stays."""
    content = _content(results / name)
    for path in (results / name).parents[1].glob(f"*/*/{Path(name).name}"):
        if _content(path) == content:
            path.unlink()


def _content(path: Path) -> tuple[str, bytes]:
    return path.name, hashlib.sha256(path.read_bytes()).digest()


def _links(folder: Path, names: Mapping[str, str]) -> dict[str, str]:
    olds = list(_olds(folder))
    sizes = Counter((old.top, old.name, old.spec_hash) for old in olds)
    places = defaultdict[str, list[Old]](list)
    replicates = dict[str, str | None]()
    for old in olds:
        spec_hash = old.spec_hash
        if old.name.endswith(layout.REPLICATE_NAME) and names.get(spec_hash) != old.name:
            # It had the spec of its base.
            if spec_hash not in replicates:
                replicates[spec_hash] = _replicate_hash(folder, spec_hash)
            spec_hash = replicates[spec_hash] or spec_hash
        new = f"{old.top}/{spec_hash}/{old.file}"
        if not (folder / new).exists():
            places[new].append(old)

    def preferred(old: Old, spec_hash: str) -> tuple[bool, int, str]:
        size = sizes[old.top, old.name, old.spec_hash]
        return (names.get(spec_hash) != old.name, -size, old.name)

    return {
        new: min(olds, key=partial(preferred, spec_hash=Path(new).parent.name)).path
        for new, olds in places.items()
    }


def _olds(folder: Path) -> Iterator[Old]:
    for top in FOLDERS:
        for path in sorted((folder / top).glob("*/*/*.json")):
            *_, name, spec_hash, file = path.parts
            if re.fullmatch(layout.SPEC, spec_hash) and (top, name) != ("failures", "anchors"):
                yield Old(top, name, spec_hash, file)


def _replicate_hash(folder: Path, spec_hash: str) -> str | None:
    """Return today's hash of an A/A control that had the hash of its base; None without results."""
    pattern = f"measurements/*{layout.REPLICATE_NAME}/{spec_hash}/*.json"
    for path in sorted(folder.glob(pattern)):
        with contextlib.suppress(ResultError):
            return replicate_hash(read_result(path))
    return None
