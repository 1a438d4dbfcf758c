"""The set-up of a checkout where it was moved, and where nothing could run."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BODY = "import sys\nprint(sys.prefix)\n"
SHELL = "#!/bin/sh\n'''exec' \"{python}\" \"$0\" \"$@\"\n' '''\n"
"""The first lines as pip writes them where the kernel would cut a line of #!."""


@pytest.fixture
def checkout(tmp_path):
    """A checkout without packages, whose .venv has one command."""
    folder = tmp_path / "checkout"
    (folder / "envs/workflow").mkdir(parents=True)
    shutil.copy2(ROOT / "envs/workflow/setup.sh", folder / "envs/workflow")
    (folder / "envs/workflow/requirements.lock").write_text("")
    assert set_up(folder).returncode == 0
    command = folder / ".venv/bin/snakemake"
    command.write_text(f"#!{folder}/.venv/bin/python\n{BODY}")
    command.chmod(0o755)
    return folder


def set_up(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [folder / "envs/workflow/setup.sh"], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("long", [False, True])
def test_a_moved_checkout_is_repaired_once(checkout, tmp_path, long):
    moved = tmp_path / "moved"
    checkout.rename(moved)
    command = moved / ".venv/bin/snakemake"
    if long:
        command.write_text(SHELL.format(python=checkout / ".venv/bin/python") + BODY)
    assert "adapting it" in set_up(moved).stderr
    done = subprocess.run([command], capture_output=True, text=True, check=True)
    assert done.stdout == f"{moved}/.venv\n"
    assert set_up(moved).stderr == ""


@pytest.mark.parametrize("character", list(" \t'\"`$&;|()<>*?{}[]\\#!~:"))
def test_a_path_below_which_no_job_could_start_is_refused(tmp_path, character):
    folder = tmp_path / f"a{character}b"
    (folder / "envs/workflow").mkdir(parents=True)
    shutil.copy2(ROOT / "envs/workflow/setup.sh", folder / "envs/workflow")
    done = set_up(folder)
    assert done.returncode == 1
    assert done.stderr.startswith(f"setup: {folder}: jobs cannot start below a path with ")
    assert len(done.stderr.splitlines()) == 1
    assert not (folder / ".venv").exists()
