"""The build context of an image: the files that define it, and pip's settings of this host.

Only the defining files go in, so nothing that is no part of an environment's identity gets into its
image. How pip gets packages goes into a stage of the build that is thrown away.
"""

import io
import re
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import InvalidVersion

from llm_energy.inputs.checksums import file_sha256
from llm_energy.inputs.pip_settings import PipSettings

FOLDER = "/context"
"""Where Dockerfiles copy the context to."""

WHEELS, CERTIFICATES, PIP_CONFIGURATION = "wheelhouse", "ca-bundle.crt", "pip.conf"

PIN = re.compile(r"^([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE)
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def write_context(file: IO[bytes], files: Sequence[Path], settings: PipSettings) -> None:
    """Write the context of a build as a tar file.

    Args:
        files: the Dockerfile, and the requirements if there are any.
    """
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in files:
            _add(archive, path.name, path)
        requirements = [path.read_text(encoding="utf-8") for path in files if path.suffix == ".txt"]
        if not requirements:
            return
        for wheel in pinned_wheels(requirements[0], settings.folders):
            _add(archive, f"{WHEELS}/{wheel.name}", wheel)
        if settings.certificates:
            _add(archive, CERTIFICATES, settings.certificates)
        content = pip_configuration(settings).encode()
        member = tarfile.TarInfo(PIP_CONFIGURATION)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))


def _add(archive: tarfile.TarFile, name: str, path: Path) -> None:
    """Add a file, without what would change from host to host: owner, mode and time."""
    member = tarfile.TarInfo(name)
    with path.open("rb") as file:
        member.size = path.stat().st_size
        archive.addfile(member, file)


def pinned_wheels(requirements: str, folders: Sequence[Path]) -> Iterator[Path]:
    """The distributions in `folders` that are among the pinned ones, by name, version and hash."""
    pins = {(canonicalize_name(name), version) for name, version in PIN.findall(requirements)}
    hashes = set(HASH.findall(requirements))
    for folder in folders:
        for path in sorted(folder.iterdir()):
            if named(path) in pins and file_sha256(path) in hashes:
                yield path


def named(path: Path) -> tuple[str, str] | None:
    """Name and version of a wheel or source distribution; None for any other file."""
    try:
        if path.suffix == ".whl":
            name, version, *_ = parse_wheel_filename(path.name)
        else:
            name, version = parse_sdist_filename(path.name)
    except (InvalidWheelFilename, InvalidSdistFilename, InvalidVersion):
        return None
    return name, str(version)


def pip_configuration(settings: PipSettings) -> str:
    """A pip.conf for the build."""
    options = {name: list(values) for name, values in settings.options.items()}
    options["find-links"] = [*options.get("find-links", []), f"{FOLDER}/{WHEELS}"]
    if settings.certificates:
        options["cert"] = [f"{FOLDER}/{CERTIFICATES}"]
    lines = (f"{name} = {' '.join(values)}\n" for name, values in options.items())
    return "[global]\n" + "".join(lines)
