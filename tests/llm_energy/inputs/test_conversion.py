"""GGUF weights turned into a Transformers folder; a shell script stands where Python converts."""

import json
from pathlib import Path

import pytest

from llm_energy.campaign.declared_inputs import PathSource
from llm_energy.inputs.checksums import file_sha256, write_marker
from llm_energy.inputs.models import convert_model, prepare_model, verify_model
from llm_energy.system.errors import InputError, ModelError

IDENTITY = {"sha256": "0" * 64, "format": "hf", "converted_from": "gguf", "recipe": 1}

CONVERTER = """#!/usr/bin/env python3
import json, pathlib, sys
question = json.load(sys.stdin)
target = pathlib.Path(question["target"])
target.joinpath("config.json").write_text(question["dtype"])
target.joinpath("model.safetensors").write_bytes(pathlib.Path(question["source"]).read_bytes())
target.joinpath("config.json").chmod(0o600)
with open({calls!r}, "a") as calls:
    calls.write(question["op"] + "\\n")
print(json.dumps({{"files": []}}))
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.gguf"
    path.write_bytes(b"GGUF weights")
    identity = {"sha256": file_sha256(path), "format": "gguf"}
    source = PathSource(path=str(path))
    content = prepare_model(source, identity, target=tmp_path / "model", log=tmp_path / "log")
    write_marker(tmp_path / "model" / "ready.json", content)
    return tmp_path / "model" / "ready.json"


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    python = tmp_path / "python"
    python.write_text(CONVERTER.format(calls=str(tmp_path / "calls")))
    python.chmod(0o755)
    marker = tmp_path / "environment" / "ready.json"
    content = {"kind": "interpreter", "python": str(python), "environment_hash": "e" * 64}
    write_marker(marker, content)
    return marker


def convert(tmp_path: Path, model: Path, environment: Path) -> Path:
    target = tmp_path / "converted"
    content = convert_model(
        IDENTITY, model=model, environment=environment, target=target, log=tmp_path / "log"
    )
    write_marker(target / "ready.json", content)
    return target / "ready.json"


def calls(tmp_path: Path) -> int:
    return len((tmp_path / "calls").read_text().splitlines())


def test_the_converted_model_is_a_folder_that_can_be_verified(
    tmp_path: Path, model: Path, environment: Path
) -> None:
    converted = verify_model(convert(tmp_path, model, environment))
    assert converted.path == tmp_path / "converted" / "files"
    assert converted.format == "hf"
    assert converted.identity == IDENTITY
    assert (converted.path / "config.json").read_text() == "bfloat16"
    assert (converted.path / "model.safetensors").read_bytes() == b"GGUF weights"


def test_every_user_may_read_the_converted_files(
    tmp_path: Path, model: Path, environment: Path
) -> None:
    converted = verify_model(convert(tmp_path, model, environment))
    modes = {path.stat().st_mode & 0o777 for path in converted.path.iterdir()}
    assert modes == {0o644}


def test_a_finished_conversion_is_kept(tmp_path: Path, model: Path, environment: Path) -> None:
    convert(tmp_path, model, environment).unlink()
    convert(tmp_path, model, environment)
    assert calls(tmp_path) == 1


def test_another_environment_does_not_convert_again(
    tmp_path: Path, model: Path, environment: Path
) -> None:
    before = convert(tmp_path, model, environment).read_bytes()
    marker = json.loads(environment.read_text()) | {"environment_hash": "f" * 64}
    write_marker(environment, marker)
    assert convert(tmp_path, model, environment).read_bytes() == before
    assert calls(tmp_path) == 1


def test_an_unfinished_conversion_is_replaced(
    tmp_path: Path, model: Path, environment: Path
) -> None:
    files = convert(tmp_path, model, environment).parent / "files"
    (files.parent / "conversion.json").unlink()
    (files / "half-written.safetensors").touch()
    marker = convert(tmp_path, model, environment)
    assert calls(tmp_path) == 2
    assert set(json.loads(marker.read_text())["files"]) == {"config.json", "model.safetensors"}


def test_a_model_that_changed_is_not_converted(
    tmp_path: Path, model: Path, environment: Path
) -> None:
    (tmp_path / "tiny.gguf").write_bytes(b"another one")
    with pytest.raises(ModelError, match=r"tiny\.gguf is not the file that was prepared"):
        convert(tmp_path, model, environment)


def test_a_conversion_that_fails_leaves_nothing_that_counts(
    tmp_path: Path, model: Path, environment: Path
) -> None:
    (tmp_path / "python").write_text(
        """#!/bin/sh\necho '{"error": "unknown architecture"}'\nexit 1"""
    )
    with pytest.raises(InputError, match=r"convert with .* failed: unknown architecture"):
        convert(tmp_path, model, environment)
    assert not (tmp_path / "converted" / "conversion.json").exists()
