"""One file out of many: equal bytes for equal input, and no secret in them.

An archive with a secret is refused. Nothing is masked: a changed result would not be the measured
one.
"""

import gzip
import hashlib
import io
import os
import re
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from llm_energy.archive.text_encodings import encodings
from llm_energy.archive.verify import SUMS
from llm_energy.inputs.checksums import file_sha256
from llm_energy.system.variables import is_secret

PACKED = 315532800
"""Modification time of every member: 1980-01-01, the earliest in all archive formats."""

LEVEL = 6
"""Level of gzip. Equal bytes need an equal zlib as well; the tar within is equal everywhere."""

NAMES = re.compile(r"TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|ACCESS_?KEY|CREDENTIAL", re.IGNORECASE)
"""Names of environment variables whose values are secret, with those that no engine gets."""

SHORTEST = 12
"""Characters: a shorter value of such a variable may be an ordinary word."""

FORMS = {
    "a Hugging Face token": re.compile(rb"\bhf_[A-Za-z0-9]{30,}"),
    "a GitHub token": re.compile(rb"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{60})"),
    "an AWS access key": re.compile(rb"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    "a private key": re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/=]{40}"),
    "a password in an address": re.compile(rb"https?://[^\s/:@'\"]+:[^\s/:@'\"]{3,}@[A-Za-z0-9]"),
}
"""Secrets of anybody that are recognised by their form."""


class ArchiveError(Exception):
    """An archive that cannot be made; one line with its remedy."""


@dataclass(frozen=True)
class Member:
    """A file of the archive: the path of its content, or the content itself."""

    content: Path | bytes
    executable: bool = False
    public: bool = False
    """Part of the published workflow, where a text in the form of a secret is none."""

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


def known_secrets(environment: Mapping[str, str] | None = None) -> dict[bytes, str]:
    """The secrets of this user in every encoding, each with its name in a message.

    Of a value of several lines the longest one counts, since a record keeps a log line by line.
    """
    environment = os.environ if environment is None else environment
    found = {
        form: f"the value of {name}"
        for name, value in environment.items()
        if (NAMES.search(name) or is_secret(name))
        and len(line := max(value.splitlines(), key=len, default="").strip()) >= SHORTEST
        # `Path.exists` raises where it is too long.
        and not os.path.exists(value)  # noqa: PTH110
        for form in encodings(line)
    }
    home = Path(environment.get("HF_HOME", Path.home() / ".cache/huggingface"))
    token = Path(environment.get("HF_TOKEN_PATH", home / "token"))
    if token.is_file() and len(value := os.fsdecode(token.read_bytes().strip())) >= SHORTEST:
        found.update(dict.fromkeys(encodings(value), "your Hugging Face token"))
    return found


def secret_in(content: bytes, known: Mapping[bytes, str], *, forms: bool = True) -> str | None:
    """The kind of secret in a file's content; None if none is found.

    Args:
        forms: look for secrets of anybody as well, by their form.
    """
    for value, name in known.items():
        if value in content:
            return name
    if not forms:
        return None
    return next((name for name, form in FORMS.items() if form.search(content)), None)
