"""Checksums of files and folders."""

import hashlib
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from llm_energy.inputs.checksums import (
    facts_of,
    file_sha256,
    files_below,
    files_sha256,
    write_marker,
)
from llm_energy.system.cache import read_marker

CHECKSUMS = st.dictionaries(
    st.text("abc/.-", min_size=1, max_size=8), st.binary(max_size=4).map(lambda b: b.hex())
)


@given(CHECKSUMS)
def test_the_checksum_of_several_files_does_not_depend_on_their_order(
    files: dict[str, str],
) -> None:
    assert files_sha256(files) == files_sha256(dict(reversed(files.items())))


@given(CHECKSUMS, st.binary(min_size=5, max_size=6))
def test_another_file_is_another_checksum(files: dict[str, str], extra: bytes) -> None:
    assert files_sha256(files) != files_sha256({**files, "more": extra.hex()})


def test_the_checksum_of_several_files_is_what_sha256sum_gives(tmp_path: Path) -> None:
    (tmp_path / "b.json").write_text("{}")
    (tmp_path / "a.bin").write_bytes(b"\0" * 5000)
    listed = subprocess.check_output("sha256sum a.bin b.json | sort", shell=True, cwd=tmp_path)
    facts = facts_of(tmp_path, ["b.json", "a.bin"])
    checksums = {name: fact["sha256"] for name, fact in facts.items()}
    assert files_sha256(checksums) == hashlib.sha256(listed).hexdigest()


def test_facts_hold_checksum_size_and_time_of_change(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"12345")
    assert facts_of(tmp_path, ["weights"]) == {
        "weights": {
            "sha256": file_sha256(path),
            "size": 5,
            "mtime_ns": path.stat().st_mtime_ns,
        }
    }


def test_hidden_files_and_folders_do_not_count(tmp_path: Path) -> None:
    for name in ("config.json", "sub/part.bin", ".git/objects/1", "sub/.hidden"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert files_below(tmp_path) == ["config.json", "sub/part.bin"]


JSON = st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=5)


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_a_marker_is_read_back_as_it_was_written(content: dict[str, Any]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "sub" / "ready.json"
        write_marker(path, content)
        assert read_marker(path) == content
