"""Identities of an experiment's parts, before anything is downloaded or built.

Content counts, never a place: the path of a local model or interpreter, the name that a campaign
gives to a model, comments and line ends leave every identity as it is. Numbers have one form.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from llm_energy.campaign.backend_settings import BackendConfig, Interpreter
from llm_energy.campaign.declared_inputs import (
    FilePrompts,
    HubSource,
    PackagePrompts,
    PathSource,
    Prompts,
    ShippedPrompts,
    Source,
    SyntheticPrompts,
)
from llm_energy.campaign.lock_file import Lock, LockedModel, full_commit, source_key
from llm_energy.campaign.types import canonical
from llm_energy.system.files import sha256_of
from llm_energy.system.vocabulary import DOCKER, PROCESS

PROTOCOL_VERSION = 3
"""Raised when the way of measuring changes: every experiment is then measured again."""

HASH_LENGTH = 12
"""Digits of a hash in a path: 48 bits, a collision among a million has a chance of 1 in 500."""

CONVERSIONS = {("gguf", "hf"): 1}
"""Model formats that can be turned into others, with the version of the recipe."""

DEFINING_FILES = {
    PROCESS: ("requirements.txt",),
    DOCKER: ("Dockerfile", "requirements.txt"),
}
"""Files of envs/{backend} that say what its environment holds, by runtime, the needed one first."""

DEBIAN_RECIPE = Path("envs/debian/make-base.sh")
"""Script that makes the base image `debian`."""

SHIPPED = Path("config/prompts")
"""Folder of the prompt sets that come with the workflow."""

SHIPPED_FIELD = "prompt"
"""Field of the text in each line of a shipped prompt set."""

TEMPLATE_DATE = "2026-01-01"
"""Date as on which every chat template is rendered: one that prints today's would make other
token ids of the same prompts on another day."""

PROSE = "prose.txt"
"""The shipped text that synthetic prompts are cut from."""

LOCK_REMEDY = "pin it with the target `lock`: `snakemake lock` and the rest of this command"


class UnpinnedError(Exception):
    """An identity that neither the configuration nor the lock file pins."""


@dataclass(frozen=True)
class Declared:
    """One input under its name in the campaign, as declared and as identified."""

    name: str
    config: Any
    """The source, prompt set or backend as declared; all that is needed to get the input."""
    identity: Mapping[str, Any]

    @cached_property
    def id(self) -> str:
        """Name of the input's folder in the cache: `NAME-HASH`."""
        return f"{self.name}-{short_hash(self.identity)}"

    @cached_property
    def canonical_identity(self) -> Mapping[str, Any]:
        """The identity with its numbers in their one form, made once for all experiments."""
        return dict(canonical(self.identity))


def short_hash(value: Any) -> str:
    """Return the first digits of the hash of a value, its numbers in their one form."""
    return hash_of_canonical(canonical(value))


def hash_of_canonical(value: Any) -> str:
    """Return the first digits of the hash of a value whose numbers are in their one form."""
    return sha256_of(value)[:HASH_LENGTH]


def source_identity(source: Source, lock: Lock) -> dict[str, Any]:
    """Return a model source with what pins it, from the configuration or else the lock file.

    Raises:
        UnpinnedError: neither has it.
    """
    key = source_key(source)
    entry = lock.models.get(key, LockedModel())
    if isinstance(source, HubSource):
        pin = source.revision if full_commit(source.revision) else entry.revision
        identity = source.model_dump(include={"hub", "files"}, exclude_none=True)
        identity["revision"] = pin
    else:
        pin = source.sha256 or entry.sha256
        identity = source.model_dump(include={"package", "version", "file"}) | {"sha256": pin}
    if pin is None:
        raise UnpinnedError(f"{key} is not pinned; {LOCK_REMEDY}")
    return identity


def source_format(source: Source) -> str:
    """Return `gguf` for sources of such files only, else `hf`: a folder as on the hub."""
    match source:
        case HubSource():
            names = source.files or [""]
        case PathSource():
            names = [source.path]
        case _:
            names = [source.file]
    return "gguf" if all(name.endswith(".gguf") for name in names) else "hf"


def gguf_in_folder(source: Source) -> Path | None:
    """Return the first GGUF file of a local folder of such files; None for any other source.

    Its format follows from its name alone, so that it stays what it is where the folder is gone.
    """
    if not isinstance(source, PathSource) or Path(source.path, "config.json").exists():
        return None
    return next(iter(sorted(Path(source.path).glob("*.gguf"))), None)


def model_identity(
    source: Source, identity: Mapping[str, Any], formats: tuple[str, ...]
) -> dict[str, Any] | None:
    """Return a pinned source in a format that the engine takes, converted if need be, or None."""
    native = source_format(source)
    if native in formats:
        return {**identity, "format": native}
    for wanted in formats:
        if recipe := CONVERSIONS.get((native, wanted)):
            return {**identity, "format": wanted, "converted_from": native, "recipe": recipe}
    return None


def environment_folder(root: Path, backend: str, device: str) -> Path:
    """Return the folder that defines a backend's environment: its gpu/ on a GPU, if it has one."""
    folder = root / "envs" / backend
    return folder / "gpu" if device == "gpu" and (folder / "gpu").is_dir() else folder


def environment_identity(
    root: Path, backend: str, config: BackendConfig, lock: Lock, *, device: str
) -> dict[str, Any]:
    """Return what defines a backend's environment: never what was built or installed from it.

    Raises:
        UnpinnedError: an interpreter whose packages nobody pinned, or an environment without a file
            that defines it.
    """
    if isinstance(config.environment, Interpreter):
        locked = lock.environments.get(backend)
        pin = config.environment.packages_sha256 or (locked and locked.packages_sha256)
        if pin is None:
            message = f"the packages of this interpreter are not pinned; {LOCK_REMEDY}"
            raise UnpinnedError(message)
        return {"packages_sha256": pin}
    if own := config.own_image:
        return {"image": own.image.rpartition("@")[2]}
    folder = environment_folder(root, backend, device)
    files = [folder / name for name in DEFINING_FILES[config.runtime]]
    if not files[0].is_file():
        raise UnpinnedError(
            f"runtime {config.runtime} on a {device.upper()} needs {files[0].relative_to(root)}, "
            "which does not exist; choose another runtime or device, or add the file"
        )
    identity = {path.name: _substance_sha256(path) for path in files if path.is_file()}
    return identity | base_identity(root, config.base)


def base_identity(root: Path, base: str | None) -> dict[str, str]:
    """Return what a declared base image adds; nothing for the one that the Dockerfile names."""
    if base == "debian":
        return {"base": f"debian:{_substance_sha256(root / DEBIAN_RECIPE)}"}
    return {"base": base} if base else {}


def container_identity(config: BackendConfig) -> dict[str, Any]:
    """Return the limits of a container that can change what is measured, and the names of the
    variables with secrets that the engine gets.

    GPUs by number: which ones of a host is no part of an experiment.
    """
    given = config.container.model_dump(
        include={"cpus", "memory", "gpus", "environment"}, exclude_defaults=True
    )
    if given.get("gpus") == "all":
        del given["gpus"]  # what it is where nothing is declared
    elif isinstance(given.get("gpus"), list):
        given["gpus"] = len(given["gpus"])
    names = sorted(set(config.pass_variables))
    return given | ({"pass_variables": names} if names else {})


def substance(path: Path) -> str:
    """Return the lines of a requirements file or Dockerfile but comments and empty ones."""
    lines = (line.rstrip() for line in path.read_text(encoding="utf-8").splitlines())
    return "\n".join(line for line in lines if line and not line.lstrip().startswith("#"))


def _substance_sha256(path: Path) -> str:
    return hashlib.sha256(substance(path).encode()).hexdigest()


def prompts_identity(prompts: Prompts, sha256: str) -> dict[str, Any]:
    """Return the recipe of a prompt set; `sha256` is that of the file its text comes from."""
    if isinstance(prompts, SyntheticPrompts):
        return {"sha256": sha256, **prompts.model_dump()}
    field = SHIPPED_FIELD if isinstance(prompts, ShippedPrompts) else prompts.field
    selection = {"limit", "seed", "chat_template", "max_input_tokens", "on_too_long"}
    identity = {"sha256": sha256, "field": field, **prompts.model_dump(include=selection)}
    return identity | ({"template_date": TEMPLATE_DATE} if prompts.chat_template else {})


def prompt_file(prompts: Prompts, root: Path) -> Path | None:
    """Return the file of a prompt set's text; None where it has to be fetched first."""
    match prompts:
        case ShippedPrompts():
            return root / SHIPPED / f"{prompts.shipped}.jsonl"
        case SyntheticPrompts():
            return root / SHIPPED / PROSE
        case FilePrompts():
            return Path(prompts.file)
        case PackagePrompts():
            return None
