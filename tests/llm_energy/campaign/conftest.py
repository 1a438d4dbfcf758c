"""Fixtures of several modules about campaigns."""

from pathlib import Path

import pytest


@pytest.fixture
def working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, in which relative paths of a campaign begin."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
