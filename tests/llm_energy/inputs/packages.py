"""Small real wheels in a folder that stands in for the package index (PIP_FIND_LINKS)."""

import base64
import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest


def only_from(folder: Path, environment: pytest.MonkeyPatch) -> Path:
    """Make an empty folder that is the only place where pip finds packages."""
    folder.mkdir()
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_INDEX_URL"):
        environment.delenv(name, raising=False)
    environment.setenv("PIP_NO_INDEX", "1")
    environment.setenv("PIP_FIND_LINKS", str(folder))
    environment.setenv("PIP_CONFIG_FILE", "/dev/null")
    return folder


def build_wheel(
    folder: Path, name: str, version: str, files: Mapping[str, bytes], *, requires: str = ""
) -> Path:
    """Write the wheel of a pure Python package with the given files."""
    information = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    if requires:
        metadata += f"Requires-Dist: {requires}\n"
    content = {
        **files,
        f"{information}/METADATA": metadata.encode(),
        f"{information}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},{_digest(data)},{len(data)}\n" for path, data in content.items())
    content[f"{information}/RECORD"] = f"{record}{information}/RECORD,,\n".encode()
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, data in content.items():
            archive.writestr(
                zipfile.ZipInfo(path), data
            )  # without a time: equal files, equal wheels
    return wheel


def requirement(wheel: Path) -> str:
    """The pinned line of a requirements file for a wheel."""
    name, version, *_ = wheel.name.split("-")
    sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
    return f"{name}=={version} --hash=sha256:{sha256}\n"


def _digest(data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"sha256={digest}"
