"""Files of a model without weights, and how its rule makes them ready."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from llm_energy.campaign.declared_inputs import Source
from llm_energy.inputs.checksums import write_marker
from llm_energy.inputs.models import (
    prepare_model,
)

WEIGHTS = b"GGUF" + bytes(500)
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()
GGUF = {"sha256": SHA256, "format": "gguf"}


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "models" / "tiny-0123456789ab"


def prepare(source: Source, identity: dict[str, Any], target: Path) -> Path:
    """Prepare a model as its rule does; returns the marker."""
    target.mkdir(parents=True, exist_ok=True)
    content = prepare_model(source, identity, target=target, log=target / "log")
    write_marker(target / "ready.json", content)
    return target / "ready.json"
