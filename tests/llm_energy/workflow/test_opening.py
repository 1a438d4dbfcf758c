"""A place in which no job could start is refused before anything else."""

import sys
from pathlib import Path

import pytest

from llm_energy.workflow.opening import refuse_place

ROOT = Path("/home/alice/energy")


@pytest.mark.parametrize("folder", ["my energy", "it's", "$energy", "{energy}"])
def test_an_interpreter_that_a_shell_would_not_start_is_refused(folder, monkeypatch):
    monkeypatch.setattr(sys, "executable", f"/home/alice/{folder}/.venv/bin/python")
    with pytest.raises(SystemExit, match=r"jobs cannot start below a path with `.`; move the"):
        refuse_place(ROOT)


def test_a_checkout_in_braces_is_refused_and_one_with_spaces_is_not(monkeypatch):
    """Snakemake quotes the path of a script, and takes that of an environment for a format."""
    monkeypatch.setattr(sys, "executable", "/opt/venv/bin/python3.11")
    refuse_place(Path("/home/alice/my energy"))
    with pytest.raises(SystemExit, match=r"^/home/alice/\{energy\}: "):
        refuse_place(Path("/home/alice/{energy}"))
