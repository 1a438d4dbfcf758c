"""An archive of a small campaign, unpacked for a reader."""

import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.integration.workflow import CAMPAIGN, Tree
from tests.once import once

ARCHIVE = Path("results/nap/archive/nap.tar.gz")
PUBLICATION = {
    "title": "What a nap costs",
    "authors": [{"name": "Doe, Jane", "orcid": "0000-0002-1825-0097"}],
    "licence": "CC-BY-4.0",
    "related": [{"identifier": "10.1234/nap"}],
}


@pytest.fixture(scope="session")
def archived(measured_template, tmp_path_factory):
    """The measured tree as a repository with a change that nobody committed, and its archive."""
    return once(
        tmp_path_factory,
        "archived",
        lambda: archive(measured_template.copy(tmp_path_factory.mktemp("archived") / "tree")),
    )


def archive(tree: Tree) -> Tree:
    folder = tree.folder
    tree.write_campaign(CAMPAIGN | {"publication": PUBLICATION})
    author = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.org"]
    for command in (
        ["init", "-q"],
        ["add", ".", ":!pillow.gguf"],
        [*author, "commit", "-qm", "All"],
    ):
        subprocess.run(["git", "-C", str(folder), *command], check=True)
    with (folder / "docs/backends.md").open("a") as file:
        file.write("\nOne more line.\n")
    (folder / "scripts/worker/engines/mine.py").write_text("# an engine of somebody's own\n")
    (folder / "notes.txt").write_text("none of the reader's business\n")
    done = tree.run("archive", check=True)
    assert "4 results: no problem" in done.stdout
    assert f"Archive: {ARCHIVE} (" in done.stdout
    return tree


@pytest.fixture(scope="session")
def unpacked(archived, tmp_path_factory):
    """Return the files that a reader has; not to be changed."""

    def unpack():
        folder = tmp_path_factory.mktemp("reader")
        with tarfile.open(archived.folder / ARCHIVE) as packed:
            packed.extractall(folder, filter="data")
        return folder / "nap"

    return once(tmp_path_factory, "unpacked", unpack)
