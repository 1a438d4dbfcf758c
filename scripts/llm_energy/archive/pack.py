"""One file out of many: the same bytes for the same input, whoever packs it and when."""

import gzip
import hashlib
import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from llm_energy.archive.secrets import known_secrets, secret_in
from llm_energy.archive.verify import SUMS
from llm_energy.inputs.checksums import file_sha256

PACKED = 315532800
"""Time of change of every member: 1980-01-01, the earliest that all archive formats know."""

LEVEL = 6
"""Of gzip. Equal bytes need an equal zlib as well; the tar within is the same everywhere."""


class ArchiveError(Exception):
    """An archive that cannot be made; one line with its remedy."""


@dataclass(frozen=True)
class Member:
    """A file of the archive: where its content is, or the content itself."""

    content: Path | bytes
    executable: bool = False
    public: bool = False
    """Part of the workflow as everybody has it: what only looks like a secret is none there."""

    def read(self) -> bytes:
        return self.content if isinstance(self.content, bytes) else self.content.read_bytes()


def pack(target: Path, top: str, members: Mapping[str, Member]) -> str:
    """Write the archive of `members` below the folder `top`, with their checksums at its end.

    Sorted names, one time, no owner, two modes, fixed compression. Returns the sha256 of the file.

    Raises:
        ArchiveError: a member holds a secret; nothing is written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.tmp")
    secrets, sums = known_secrets(), []
    try:
        with (
            temporary.open("wb") as file,
            gzip.GzipFile("", "wb", LEVEL, file, mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
        ):
            for name, member in sorted(members.items()):
                content = member.read()
                if secret := secret_in(content, secrets, forms=not member.public):
                    raise ArchiveError(
                        f"{name} holds {secret}: an archive is for everybody; "
                        "remove it there, then make the archive again"
                    )
                sums.append(f"{hashlib.sha256(content).hexdigest()}  {name}\n")
                _add(tar, f"{top}/{name}", content, executable=member.executable)
            _add(tar, f"{top}/{SUMS}", "".join(sums).encode())
        digest = file_sha256(temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    return digest


def _add(tar: tarfile.TarFile, name: str, content: bytes, *, executable: bool = False) -> None:
    about = tarfile.TarInfo(name)
    about.size, about.mtime, about.mode = len(content), PACKED, 0o755 if executable else 0o644
    tar.addfile(about, io.BytesIO(content))
