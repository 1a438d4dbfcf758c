"""Fixtures for tests of the campaign's configuration."""

from pathlib import Path

import pytest
from make_campaigns import make_checkout


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with two made-up backends, `toy` (gguf) and `boxy` (hf). Not to be changed."""
    return make_checkout(tmp_path_factory.mktemp("checkout"))


@pytest.fixture
def own_root(tmp_path: Path) -> Path:
    """A checkout that a test may change."""
    return make_checkout(tmp_path / "checkout")
