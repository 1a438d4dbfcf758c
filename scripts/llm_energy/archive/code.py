"""The workflow's own files as they are now, and how they differ from a commit."""

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

OWN_FOLDERS = ("scripts", "envs", "rules", "config/prompts", "config/models.lock.yaml")
"""Folders whose uncommitted files count: the user's own backends, prompts or pins decide what is
measured. Uncommitted files elsewhere do not belong to the archive."""

SHIPPED = (
    ".gitignore",
    ".snakemake-workflow-catalog.yml",
    ".test/config",
    "CHANGELOG.md",
    "CITATION.cff",
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "Snakefile",
    "benchmarks",
    "config",
    "docs",
    "envs",
    "mkdocs.yml",
    "profiles",
    "pyproject.toml",
    "rules",
    "scripts",
    "tests",
    "workflow",
    "workflow-profile",
)
"""Parts of the workflow, for a checkout that is no repository."""


@dataclass(frozen=True)
class Code:
    """The checkout that makes an archive."""

    commit: str | None
    """None outside of a repository."""
    changed: tuple[str, ...]
    """Committed files that were changed or removed since."""
    added: tuple[str, ...]
    """Files in `OWN_FOLDERS` that are not committed."""
    files: tuple[str, ...]
    """All existing files, relative to the checkout, sorted."""
    patch: bytes
    """From the commit to the working tree, for `git apply`; empty without changes."""

    @property
    def dirty(self) -> bool | None:
        return None if self.commit is None else bool(self.changed or self.added)


def read_code(root: Path) -> Code:
    """The files of the checkout at `root`: those of its repository, else the shipped ones."""
    try:
        _git(root, "ls-files", "--error-unmatch", "Snakefile")
    except (OSError, subprocess.CalledProcessError):
        files = sorted(name for part in SHIPPED for name in _below(root, root / part))
        return Code(None, (), (), tuple(files), b"")
    added = _names(root, "ls-files", "--others", "--exclude-standard", "--", *OWN_FOLDERS)
    tracked = _names(root, "ls-files")
    files = sorted({name for name in [*tracked, *added] if _belongs(root, name)})
    return Code(
        commit=_git(root, "rev-parse", "HEAD").decode().strip(),
        changed=tuple(_names(root, "diff", "HEAD", "--name-only", "--relative")),
        added=tuple(sorted(added)),
        files=tuple(files),
        patch=_git(root, "diff", "HEAD", "--binary", "--relative"),
    )


def _belongs(root: Path, name: str) -> bool:
    """True for an existing file that is no result; results have their own place."""
    published = PurePosixPath(name).parts[0] == "results" and name != "results/README.md"
    return not published and (root / name).is_file()


def _below(root: Path, path: Path) -> Iterable[str]:
    files = [path] if path.is_file() else (p for p in path.rglob("*") if p.is_file())
    for file in files:
        name = file.relative_to(root)
        if "__pycache__" not in name.parts and not any(p.startswith(".") for p in name.parts[1:]):
            yield name.as_posix()


def _names(root: Path, *arguments: str) -> list[str]:
    command, *options = arguments
    return [name for name in _git(root, command, "-z", *options).decode().split("\0") if name]


def _git(root: Path, *arguments: str) -> bytes:
    # the user's settings must not change what a patch looks like
    own = ("-c", "core.quotepath=off", "-c", "diff.noprefix=false", "-c", "core.abbrev=40")
    command = ["git", *own, "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, check=True).stdout
