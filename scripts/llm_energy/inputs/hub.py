"""Models from the Hugging Face hub, or from a mirror that HF_ENDPOINT names.

The token (HF_TOKEN, or the one that `hf auth login` keeps) is used by huggingface_hub alone. Its
errors are reworded, through `without_secrets`, and no traceback leads back to them; addresses that
its HTTP client would log may be signed, so they are not logged.
"""

import glob
import hashlib
import logging
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from llm_energy.inputs.checksums import FILES, FileFacts, facts_of, write_marker
from llm_energy.inputs.weights import files_needed
from llm_energy.system.errors import ModelError
from llm_energy.system.files import DamagedError, read_object

LICENCES = "https://huggingface.co"
"""Where a person accepts the licence of a gated model, whatever mirror the files come from."""

ANSWER_S = 8.0
"""How long the hub may take to describe a model; preflight waits a little longer."""

LISTING = "listing.json"
"""The hub's listing of the commit, kept beside the files."""


@dataclass(frozen=True)
class HubFile:
    """One file as the hub lists it at a commit."""

    size: int
    """In bytes."""
    blob_id: str
    """Git's name of the content: sha1 over a header and the content; of the pointer for LFS."""
    sha256: str | None
    """Only of files that the hub keeps as LFS objects."""

    def matches(self, path: Path, facts: FileFacts) -> bool:
        """Return whether a file on disk is this one."""
        if facts["size"] != self.size:
            return False
        if self.sha256 is not None:
            return bool(facts["sha256"] == self.sha256)
        header = f"blob {self.size}\0".encode()
        return hashlib.sha1(header + path.read_bytes()).hexdigest() == self.blob_id


def download(
    repository: str, commit: str, *, patterns: Sequence[str] | None, target: Path
) -> dict[str, FileFacts]:
    """Have the needed files of a repository in `target`/files; a partial download goes on.

    Files that are there already need no network, and every file is checked against the hub's own
    list.

    Raises:
        ModelError: gated, unknown, unreachable, no room, or a file that differs.
    """
    from huggingface_hub import snapshot_download

    what = f"hub:{repository}"
    folder = target / FILES
    with hub_errors(repository, commit):
        listing = kept_listing(repository, commit, kept=target / LISTING)
        files = {name: asdict(file) for name, file in listing.items()}
        write_marker(target / LISTING, {"commit": commit, "files": files})
        wanted = files_needed(list(listing), patterns=patterns, what=what)
        check_room(folder, sum(listing[name].size for name in wanted), what=what)
        snapshot_download(
            repository,
            revision=commit,
            allow_patterns=[glob.escape(name) for name in wanted],
            local_dir=folder,
            endpoint=endpoint(),
        )
    facts = facts_of(folder, wanted)
    for name in wanted:
        if not listing[name].matches(folder / name, facts[name]):
            (folder / name).unlink()
            raise ModelError(
                f"{what}: {name} arrived damaged or was changed on disk, and was removed; start "
                "the same command again to fetch it anew"
            )
    return facts


def resolve(repository: str, revision: str | None) -> tuple[str, dict[str, HubFile]]:
    """The full commit of a branch or tag (None: the default branch), and its files."""
    from huggingface_hub import HfApi

    with hub_errors(repository, revision):
        commit = HfApi(endpoint=endpoint()).model_info(repository, revision=revision).sha
        assert commit is not None
        return commit, read_listing(repository, commit)


def check_access(repository: str, commit: str) -> None:
    """Check that this user may fetch a model, before anything large is fetched.

    A gated model's description is open to all; only its files are not, so one is requested.
    """
    from huggingface_hub import HfApi, get_hf_file_metadata, hf_hub_url

    with hub_errors(repository, commit):
        # Unlike a listing, this is not tried again and again where there is no network.
        api = HfApi(endpoint=endpoint())
        info = api.model_info(repository, revision=commit, timeout=ANSWER_S)
        names = [file.rfilename for file in info.siblings or []]
        name = "config.json" if "config.json" in names else min(names)
        url = hf_hub_url(repository, name, revision=commit, endpoint=endpoint())
        get_hf_file_metadata(url, endpoint=endpoint())


def read_listing(repository: str, commit: str) -> dict[str, HubFile]:
    """Every file of a repository at a commit, as the hub lists it."""
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFolder

    files = HfApi(endpoint=endpoint()).list_repo_tree(repository, revision=commit, recursive=True)
    return {
        file.path: HubFile(file.size, file.blob_id, file.lfs.sha256 if file.lfs else None)
        for file in files
        if not isinstance(file, RepoFolder)
    }


def kept_listing(repository: str, commit: str, *, kept: Path) -> dict[str, HubFile]:
    """The listing of a commit, which never changes: from the file `kept`, or else from the hub."""
    try:
        files = read_object(kept, "files")["files"]
    except (FileNotFoundError, DamagedError):
        return read_listing(repository, commit)
    return {name: HubFile(**file) for name, file in files.items()}


def endpoint() -> str | None:
    """The hub's address in HF_ENDPOINT, None for the hub itself."""
    address = os.environ.get("HF_ENDPOINT", "").rstrip("/")
    if "@" in urlsplit(address).netloc:  # a password there would stand in every log
        raise ModelError("HF_ENDPOINT holds a password; take it out, and use HF_TOKEN for access")
    return address or None


def check_room(folder: Path, size: int, *, what: str) -> None:
    """Check that a download of `size` bytes fits, counting what is there already."""
    folder.mkdir(parents=True, exist_ok=True)
    present = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    free = shutil.disk_usage(folder).free
    if size - present > free:
        raise ModelError(
            f"{what} needs {(size - present) / 1e9:.1f} GB more, but the disk of "
            f"{folder.absolute()} has {free / 1e9:.1f} GB left; make room"
        )


@contextmanager
def hub_errors(repository: str, revision: str | None) -> Iterator[None]:
    """Turn errors of huggingface_hub inside the block into one line without secrets."""
    from huggingface_hub import errors

    logging.getLogger("httpx2").setLevel(logging.WARNING)
    try:
        yield
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(_message(repository, revision, error, errors)) from None


def _message(repository: str, revision: str | None, error: Exception, errors: Any) -> str:
    what = f"hub:{repository}"
    root = error.__cause__ if isinstance(error, errors.LocalEntryNotFoundError) else error
    if isinstance(root, errors.GatedRepoError):
        return (
            f"{what} is gated: accept its licence at {LICENCES}/{repository} and set HF_TOKEN to "
            "a token of that account"
        )
    if isinstance(root, errors.RevisionNotFoundError):
        return f"{what} has no revision {revision}; correct `revision`"
    if isinstance(root, errors.RepositoryNotFoundError):
        return (
            f"{what} does not exist or is private: check the name, and for a private model set "
            "HF_TOKEN"
        )
    if isinstance(root, errors.OfflineModeIsEnabled):
        return f"{what} is not complete here and HF_HUB_OFFLINE is set; unset it to fetch it"
    response = getattr(root, "response", None)
    if response is not None:
        problem = f"the hub answered with status {response.status_code}"
    else:
        problem = f"the hub cannot be reached ({without_secrets(f'{type(root).__name__}: {root}')})"
    place = endpoint() or "not set"
    return f"{what}: {problem}; check the network and HF_ENDPOINT ({place}), then start again"


def without_secrets(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """One line of text without the token, passwords in addresses, or signatures of addresses."""
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        if environment.get(name):
            text = text.replace(environment[name], "***")
    text = re.sub(r"hf_[A-Za-z0-9]{10,}", "***", text)
    text = re.sub(r"(?<=://)[^/@\s]+@", "***@", text)
    text = re.sub(r"(https?://[^\s?'\"]+)\?[^\s'\"]+", r"\1?***", text)
    return " ".join(text.split())
