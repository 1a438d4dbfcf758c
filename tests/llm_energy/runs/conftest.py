"""A run that other runs may be parts of."""

from pathlib import Path

import pytest

from llm_energy.backends.runtime import SCRIPTS
from llm_energy.runs import run_parts
from llm_energy.runs.run import Run


@pytest.fixture
def whole(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = Run.create(campaign="nap", results=Path("results/nap"), scripts=SCRIPTS)
    run.write("plan", [])
    yield run
    for each in (*run_parts.set_runs(run), run):
        each.remove()
