"""Declared inputs of a campaign: models with their sources, and prompt sets."""

from typing import Annotated, Literal

from pydantic import Field

from llm_energy.campaign.problems import KeyPath
from llm_energy.campaign.types import (
    Alternatives,
    Count,
    Filled,
    Model,
    Name,
    Natural,
    PackageName,
    PackageVersion,
    Sha256,
    Text,
    Tokens,
)


class PackageSource(Model):
    """A weight file that ships inside a Python package."""

    package: PackageName
    """Name of the package."""
    version: PackageVersion
    """Its exact version."""
    file: Text
    """Path of the file inside the package's wheel."""
    sha256: Sha256 | None = None
    """Checksum of the file; without it the `lock` target pins it."""


class HubSource(Model):
    """A repository of the Hugging Face hub."""

    hub: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$")]
    """Repository, `organisation/name`."""
    revision: Text | None = None
    """Full commit (40 hexadecimal digits); a branch or tag, or none, is pinned by `lock`."""
    files: Annotated[list[Text], Field(min_length=1)] | None = None
    """Patterns of the files to fetch. Default: all that the backend needs."""


class PathSource(Model):
    """A file or folder on this machine."""

    path: Text
    """Path, absolute or from the working directory. It is no part of the model's identity."""
    sha256: Sha256 | None = None
    """Checksum of the file, or of the folder's sorted checksums; else pinned by `lock`."""


Source = PackageSource | HubSource | PathSource


ONE_SOURCE = "needs exactly one of the keys package, hub and path"
DeclaredSource = Annotated[Source, Alternatives("package", "hub", "path", message=ONE_SOURCE)]


class ModelConfig(Model):
    """One model, from one source or from one for each backend."""

    licence: Text | None = None
    """Licence of the weights, for the report."""
    source: Annotated[DeclaredSource | None, Filled(ONE_SOURCE)] = None
    """Source of the weights: the default for every backend."""
    sources: dict[str, DeclaredSource] = Field(default_factory=dict)
    """Sources for single backends, by backend; they win over `source`."""

    def source_for(self, backend: str | None) -> tuple[KeyPath, Source | None]:
        """Return the source of a backend, and where it stands in the model's entry.

        None stands for the tokenizer: its source is that of all backends, or else the only one.
        """
        if backend is None and self.source is None:
            backend = next(iter(self.sources), None)
        if backend in self.sources:
            return ("sources", backend), self.sources[backend]
        return ("source",), self.source


class _Selection(Model):
    """Choice of prompts from a file, and their way to token ids."""

    limit: Count | None = None
    """Number of prompts that are taken. Default: all."""
    seed: Natural = 0
    """Chooses which prompts, and their order; a higher limit adds prompts to those chosen."""
    chat_template: bool = False
    """Wrap each prompt in the model's chat template."""
    max_input_tokens: Tokens | None = None
    """Greatest length of a prompt after the template."""
    on_too_long: Literal["error", "truncate"] = "error"
    """`error`: refuse a longer prompt; `truncate`: cut it."""


class ShippedPrompts(_Selection):
    """A prompt set that comes with the workflow, under config/prompts."""

    shipped: Name
    """Its name."""


class FilePrompts(_Selection):
    """Prompts from your file: JSON lines or a JSON array (`.json`), also as `.gz`, or Parquet."""

    file: Text
    """Path, absolute or from the working directory."""
    field: Text = "prompt"
    """Place of the text in each entry: keys, columns and indices, joined by dots (`turns.0`)."""
    sha256: Sha256 | None = None
    """Checksum of the file, checked where it is given."""


class PackagePrompts(_Selection):
    """Prompts from a file inside a Python package; the same kinds as for a file of yours."""

    package: PackageName
    """Name of the package."""
    version: PackageVersion
    """Its exact version."""
    file: Text
    """Path of the file inside the package's wheel."""
    field: Text
    """Place of the text in each entry: keys and indices, joined by dots (`turns.0`)."""
    sha256: Sha256
    """Checksum of the file."""
    limit: Count
    """Number of prompts that are taken."""


class Synthetic(Model):
    """Shape of a synthetic prompt set."""

    input_tokens: Tokens
    """Length of every prompt."""
    count: Count
    """Number of prompts."""


class SyntheticPrompts(Model):
    """Prompts of one exact length, cut from a text that comes with the workflow."""

    synthetic: Synthetic
    """Length and number of the prompts."""
    seed: Natural = 0
    """Chooses the sentences and their order."""


Prompts = ShippedPrompts | FilePrompts | PackagePrompts | SyntheticPrompts
DeclaredPrompts = Annotated[
    Prompts,
    Alternatives(
        *("shipped", "file", "package", "synthetic"),
        message="needs one of the keys shipped, file, package and synthetic",
    ),
]
