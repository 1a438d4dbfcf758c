"""Lock file: identities that were looked up once and hold from then on."""

import re
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field, ValidationError

from llm_energy.campaign.declared_inputs import HubSource, PackageSource, Source
from llm_energy.campaign.problems import CampaignError
from llm_energy.campaign.types import Model, Sha256
from llm_energy.system.errors import first_fault

COMMIT = r"^[0-9a-f]{40}$"


class LockedModel(Model):
    """Pin of one model source."""

    revision: Annotated[str, Field(pattern=COMMIT)] | None = None
    """Full commit of a hub repository."""
    sha256: Sha256 | None = None
    """Checksum of a file, or of a folder's sorted checksums."""
    files: dict[str, Sha256] = Field(default_factory=dict)
    """Checksums of single files, where they are known; no part of the identity."""


class LockedEnvironment(Model):
    """Pin of an interpreter of the user's."""

    packages_sha256: Sha256
    """Checksum of its installed packages."""


class Lock(Model):
    """config/models.lock.yaml, written by the `lock` target."""

    models: dict[str, LockedModel] = Field(default_factory=dict)
    """By `source_key`."""
    environments: dict[str, LockedEnvironment] = Field(default_factory=dict)
    """By backend."""


def read_lock(path: Path | None) -> Lock:
    """Read the lock file; an empty lock where there is none.

    Raises:
        CampaignError: not readable as a lock file.
    """
    if path is None or not path.exists():
        return Lock()
    try:
        return Lock.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        reason = f"cannot be read ({type(error).__name__})"
    except ValidationError as error:
        reason = first_fault(error)
    raise CampaignError([f"{path}: {reason}; remove it and run the `lock` target again"])


def full_commit(revision: str | None) -> bool:
    """Return True for a full commit, which no branch or tag can move."""
    return revision is not None and re.fullmatch(COMMIT, revision) is not None


def source_key(source: Source) -> str:
    """Return the text that names a source in the lock file.

    `hub:org/name` (`hub:org/name@branch` for a branch or tag), `path:PATH`,
    `package:name==version:file`.
    """
    if isinstance(source, HubSource):
        moving = source.revision if not full_commit(source.revision) else None
        return f"hub:{source.hub}" + (f"@{moving}" if moving else "")
    if isinstance(source, PackageSource):
        return f"package:{source.package}=={source.version}:{source.file}"
    return f"path:{source.path}"
