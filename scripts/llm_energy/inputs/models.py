"""Models as files on this machine: fetched, found or converted, and checked before measuring.

A marker `.cache/models/{model}/ready.json` names the model's path (relative to the marker's folder,
absolute only for a model of the user's own, which is never copied; `local` is its path from the
working folder, where it lies in there), its format, and checksum, size and time of change of every
file.
"""

import contextlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm_energy.campaign.declared_inputs import HubSource, PackageSource, PathSource, Source
from llm_energy.inputs import hub
from llm_energy.inputs.checksums import (
    FILES,
    FileFacts,
    facts_of,
    file_sha256,
    files_below,
    files_sha256,
    write_marker,
)
from llm_energy.inputs.interpreter import ask_worker
from llm_energy.inputs.packages import file_of_package
from llm_energy.inputs.weights import main_file
from llm_energy.system.cache import READY, read_marker
from llm_energy.system.errors import ModelError
from llm_energy.system.files import DamagedError, read_object
from worker.gguf import part_names

DTYPE = "bfloat16"
"""Number format of converted weights. Quantised weights have fewer digits than it keeps."""

OF_A_MODEL = ("path", "format", "files", "identity")
"""Keys of the marker of a model."""

RECORD = "conversion.json"
"""Record of the source of a converted folder, and of the environment that converted it."""


@dataclass(frozen=True)
class VerifiedModel:
    """A model whose files are those that its marker describes."""

    path: Path
    """Absolute: what the engine loads, a folder or a GGUF file, of several parts the first."""
    files: tuple[Path, ...]
    """Absolute: all that it reads."""
    format: str
    """`gguf` or `hf`."""
    sha256: str
    """Sha256 of the sorted `sha256  name` lines of its files."""
    identity: Mapping[str, Any]
    """As the campaign declared it."""


def prepare_model(
    source: Source, identity: Mapping[str, Any], *, target: Path, log: Path
) -> dict[str, Any]:
    """Have a model on this machine and return the content of its marker.

    Args:
        identity: what pins it, and the `format` of the weights.
    """
    match source:
        case PackageSource():
            refuse_parts(source)
            path = file_of_package(source, identity["sha256"], target=target / FILES, log=log)
            facts = facts_of(path.parent, [path.name])
        case HubSource():
            facts = hub.download(
                source.hub, identity["revision"], patterns=source.files, target=target
            )
            path = target / FILES
        case PathSource():
            path = local_path(source)
            facts = local_facts(path)
            found, declared = local_sha256(path, facts), identity["sha256"]
            if found != declared:
                raise ModelError(
                    f"model path {path} has sha256 {found}, declared is {declared}; restore the "
                    "files, or pin the new ones (in the campaign, or with the `lock` target) to "
                    "measure them"
                )
    what = f"model {target.name}"
    if identity["format"] == "gguf" and path.is_dir():
        path /= main_file(list(facts), what=what)
    if identity["format"] == "hf" and "config.json" not in facts:
        gguf = next((name for name in sorted(facts) if name.endswith(".gguf")), None)
        remedy = f"; name its GGUF file, such as {gguf}" if gguf else ""
        raise ModelError(f"{what}: {path} has no config.json; it is no model folder{remedy}")
    return marker_of(path, facts, identity, target=target)


def convert_model(
    identity: Mapping[str, Any], *, model: Path, environment: Path, target: Path, log: Path
) -> dict[str, Any]:
    """Turn GGUF weights into a Transformers folder and return the content of its marker.

    A finished conversion of the same source by the same recipe is kept, whatever environment made
    it: campaigns with and without containers share it, also while one of them measures. An
    unfinished one is replaced.

    Args:
        identity: of the converted model.
        model, environment: markers of the source model and of the environment that converts.
    """
    source, converter = verify_model(model), read_marker(environment)
    if len(source.files) > 1:  # Transformers reads the first and makes up the rest, with a warning
        raise ModelError(
            f"model {target.name}: a GGUF model in {len(source.files)} parts cannot be converted; "
            "join them with llama-gguf-split --merge, or give the backend a source of its own "
            "under `sources`"
        )
    wanted = {"source_sha256": source.sha256, "dtype": DTYPE, "recipe": identity.get("recipe")}
    folder, record = target / FILES, target / RECORD
    if not wanted.items() <= _record_of(record).items():
        for file in (target / READY, record):
            file.unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        paths = {"source": str(source.path), "target": str(folder.absolute())}
        ask_worker(
            converter,
            {"op": "convert", **paths, "dtype": DTYPE},
            readable=source.files,
            writable=[folder.absolute()],
            log=log,
        )
        for name in files_below(folder):
            (folder / name).chmod(0o644)  # written for the owner only; a container's user reads it
        made_by = {"environment_hash": converter["environment_hash"]}
        write_marker(record, wanted | made_by)
    return marker_of(folder, facts_of(folder, files_below(folder)), identity, target=target)


def _record_of(path: Path) -> dict[str, Any]:
    """Return the record of a conversion; empty where it is missing or damaged."""
    with contextlib.suppress(OSError, DamagedError):
        return read_object(path)
    return {}


def marker_of(
    path: Path, facts: Mapping[str, FileFacts], identity: Mapping[str, Any], *, target: Path
) -> dict[str, Any]:
    """Content of the marker of a model at `path`."""
    own, local = path.is_relative_to(target), path.is_relative_to(Path.cwd())
    return {
        "path": str(path.relative_to(target) if own else path),
        **({"local": str(path.relative_to(Path.cwd()))} if local and not own else {}),
        "format": identity["format"],
        "files": facts,
        "identity": dict(identity),
    }


def local_path(source: PathSource) -> Path:
    """Return the path of a local model: a folder, or a file, of a GGUF model in parts the first."""
    path = Path(source.path).absolute()
    return path.with_name(part_names(path.name)[0])


def names_of(path: Path) -> list[str]:
    """Return the names of a local model's files: a folder's but hidden ones, or a file's parts."""
    return files_below(path) if path.is_dir() else part_names(path.name)


def local_files(source: PathSource) -> list[Path]:
    """Return the files of a local model that are there, absolute."""
    path = local_path(source)
    folder = path if path.is_dir() else path.parent
    return [folder / name for name in names_of(path) if (folder / name).exists()]


def local_facts(path: Path) -> dict[str, FileFacts]:
    """Facts of the files of a local model, by name."""
    try:
        facts = facts_of(path if path.is_dir() else path.parent, names_of(path))
    except OSError as error:
        place = error.filename or path
        raise ModelError(f"model path {place}: {error.strerror}; correct `path`") from error
    if not facts:
        raise ModelError(f"model path {path} is an empty folder; correct `path`")
    return facts


def local_sha256(path: Path, facts: Mapping[str, FileFacts]) -> str:
    """Return the identity of a local model: a file's sha256, `files_sha256` of a folder.

    Of a GGUF model in parts it is `files_sha256` with the parts' numbers for their names.
    """
    if path.is_dir():
        return files_sha256(checksums(facts))
    if len(facts) == 1:
        return str(facts[path.name]["sha256"])
    return files_sha256({str(n): facts[name]["sha256"] for n, name in enumerate(sorted(facts))})


def refuse_parts(source: PackageSource) -> None:
    """Refuse a GGUF model in parts from a package, for which only one file is pinned.

    Raises:
        ModelError: it is one.
    """
    if len(part_names(source.file)) > 1:
        raise ModelError(
            f"{source.file} of the package {source.package} is one part of several; unpack the "
            "package and declare the `path` of the first part"
        )


def checksums(facts: Mapping[str, FileFacts]) -> dict[str, str]:
    return {name: str(fact["sha256"]) for name, fact in facts.items()}


def megabytes(marker: Mapping[str, Any]) -> float:
    """Size of a model's files, in 10^6 bytes."""
    return sum(int(facts["size"]) for facts in marker["files"].values()) / 1e6


def verify_model(marker: Path) -> VerifiedModel:
    """Check a model right before it is measured.

    Files of the size and time of change that the marker has are trusted, since hashing 100 GB
    takes minutes; any other file is hashed again.

    Raises:
        InputError: a file is missing or has another content; one line with the remedy.
    """
    content = read_marker(marker, *OF_A_MODEL)
    prepared = marker.parent.absolute()
    path = prepared / content["path"]  # an absolute path stays as it is
    mine = Path(content["path"]).is_absolute()
    folder = prepared / FILES if not mine else path if path.is_dir() else path.parent
    changed = [name for name, facts in content["files"].items() if _differs(folder / name, facts)]
    if changed:
        remedy = "restore it, or pin it again" if mine else f"remove {marker.parent}, start again"
        raise ModelError(f"{folder / changed[0]} is not the file that was prepared; {remedy}")
    return VerifiedModel(
        path=path,
        files=tuple(folder / name for name in content["files"]),
        format=content["format"],
        sha256=files_sha256(checksums(content["files"])),
        identity=content["identity"],
    )


def _differs(path: Path, facts: FileFacts) -> bool:
    try:
        status = path.stat()
        if (status.st_size, status.st_mtime_ns) == (facts["size"], facts["mtime_ns"]):
            return False
        return bool(status.st_size != facts["size"] or file_sha256(path) != facts["sha256"])
    except OSError:
        return True
