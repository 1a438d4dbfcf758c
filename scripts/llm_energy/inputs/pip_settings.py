"""This user's sources of packages, for a pip that runs in the build of an image."""

import ast
import os
import ssl
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

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
