"""The stand-in of TensorRT-LLM: where it is, its models, and what it says."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

STAND_IN = Path(__file__).parent / "tensorrt_stand_in"


def expected(prompt: tuple[int, ...] | list[int], tokens: int) -> list[int]:
    return [(sum(prompt) + step) % 256 for step in range(tokens)]


@pytest.fixture
def model(tmp_path: Path) -> Callable[..., Path]:
    """Makes a model folder with a config.json."""

    def make(**facts: Any) -> Path:
        plain = {"torch_dtype": "bfloat16", "max_position_embeddings": 4096}
        (tmp_path / "config.json").write_text(json.dumps(plain | facts))
        return tmp_path

    return make
