"""The build context of an image: the files that define it, and pip's settings of this host.

Only the defining files go in, so nothing that is no part of an environment's identity gets into its
image. How pip gets packages goes into a stage of the build that is thrown away.
"""

import ast
import io
import os
import re
import ssl
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlsplit

from llm_energy.inputs.checksums import file_sha256

FOLDER = "/context"
"""Where Dockerfiles copy the context to."""

WHEELS, CERTIFICATES, PIP_CONFIGURATION = "wheelhouse", "ca-bundle.crt", "pip.conf"

DISTRIBUTIONS = (".whl", ".tar.gz", ".zip")

HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")

SECTIONS = ("global", "install", ":env:")
"""Parts of pip's configuration that hold for `pip install`; a later one wins."""

PASSED_ON = ("index-url", "extra-index-url", "trusted-host", "no-index", "proxy")
"""Settings that mean the same in an image as on this host."""

WEB = ("http", "https")

BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
"""Variables that name the certificates of a closed network where pip's own settings do not."""


@dataclass(frozen=True)
class PipSettings:
    """The settings of pip that matter in an image."""

    options: Mapping[str, tuple[str, ...]]
    """Values by the option's name in a pip.conf."""
    folders: tuple[Path, ...]
    """Folders of this host with wheels."""
    certificates: Path | None
    """Bundle of certificate authorities that this host trusts."""


def pip_settings() -> PipSettings:
    """The settings of the pip that the workflow uses, from its files and variables (0.4 s)."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return settings_from(listed, os.environ)


def settings_from(listed: str, variables: Mapping[str, str]) -> PipSettings:
    """Settings from the output of `pip config list` and the environment."""
    merged: dict[str, tuple[str, ...]] = {}
    for section in SECTIONS:
        for line in listed.splitlines():
            key, equals, value = line.partition("=")
            if equals and key.startswith(f"{section}."):
                merged[key.removeprefix(f"{section}.")] = tuple(ast.literal_eval(value).split())
    links = merged.get("find-links", ())
    pages = tuple(link for link in links if urlsplit(link).scheme in WEB)
    # A file:// index is a folder of this host, which no image sees.
    options = {
        name: tuple(value for value in merged[name] if not value.startswith("file:"))
        for name in PASSED_ON
        if name in merged
    }
    options["find-links"] = pages
    folders = (as_path(link) for link in links if link not in pages)
    return PipSettings(
        options={name: values for name, values in options.items() if values},
        folders=tuple(folder for folder in folders if folder.is_dir()),
        certificates=certificates(merged.get("cert", ()), variables),
    )


def as_path(link: str) -> Path:
    """The folder of a `find-links` entry, a path or a file:// address."""
    path = unquote(urlsplit(link).path) if link.startswith("file:") else link
    return Path(path).expanduser()


def certificates(declared: tuple[str, ...], variables: Mapping[str, str]) -> Path | None:
    """The bundle that pip uses here: declared, or named by a variable, or the system's."""
    named = [*declared, *(variables.get(name, "") for name in BUNDLES)]
    system = ssl.get_default_verify_paths().cafile
    candidates = [Path(name) for name in [*named, system] if name]
    return next((path for path in candidates if path.is_file()), None)


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
    """Yield the distributions in `folders` that are among the pinned ones, by their hashes."""
    hashes = set(HASH.findall(requirements))
    for folder in folders:
        for path in sorted(folder.iterdir()):
            if path.name.endswith(DISTRIBUTIONS) and file_sha256(path) in hashes:
                yield path


def pip_configuration(settings: PipSettings) -> str:
    """A pip.conf for the build."""
    options = {name: list(values) for name, values in settings.options.items()}
    options["find-links"] = [*options.get("find-links", []), f"{FOLDER}/{WHEELS}"]
    if settings.certificates:
        options["cert"] = [f"{FOLDER}/{CERTIFICATES}"]
    lines = (f"{name} = {' '.join(values)}\n" for name, values in options.items())
    return "[global]\n" + "".join(lines)
