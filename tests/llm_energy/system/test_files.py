"""New files never replace what is there, and what a killed writer left goes some day."""

import errno
import os
from pathlib import Path

import pytest
from tests import damaged

from llm_energy.system import files
from llm_energy.system.files import (
    TEMPORARY,
    DamagedError,
    read_lines,
    read_object,
    remove_abandoned,
    write_atomically,
    write_new,
)


@pytest.fixture(params=["links", "no links"])
def path(request, tmp_path, monkeypatch):
    """A path on a file system with hard links, or without."""

    def refuse(*_):
        raise OSError(errno.EPERM, "no links here")

    if request.param == "no links":
        monkeypatch.setattr(Path, "hardlink_to", refuse)
    return tmp_path / "folder" / "file"


def test_what_is_there_stays(path):
    write_new(path, b"first")
    with pytest.raises(FileExistsError):
        write_new(path, b"second")
    assert path.read_bytes() == b"first"
    assert list(path.parent.iterdir()) == [path]


def test_where_neither_way_works_nothing_is_written(path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EINVAL, "not here")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    monkeypatch.setattr(files, "_rename_without_replacing", refuse)
    with pytest.raises(OSError, match="not here"):
        write_new(path, b"content")
    assert list(path.parent.iterdir()) == []


def test_only_what_was_not_changed_for_long_is_abandoned(tmp_path):
    old, new, result = (tmp_path / name for name in (".a.json.1.tmp", ".b.json.2.tmp", "c.json"))
    for path in (old, new, result):
        path.write_bytes(b"")
    (folder := tmp_path / ".d.tmp").mkdir()  # somebody else's: it stays, and stops nothing
    for path in (folder, old, result):
        os.utime(path, (0, 0))
    remove_abandoned(sorted(tmp_path.rglob(TEMPORARY), reverse=True))
    assert sorted(tmp_path.iterdir()) == [new, folder, result]


@pytest.mark.parametrize("write", [write_atomically, write_new])
def test_a_file_where_its_folder_should_be_is_no_file_that_exists(tmp_path, write):
    (tmp_path / "folder").write_bytes(b"")
    with pytest.raises(NotADirectoryError, match="folder"):
        write(tmp_path / "folder/file", b"content")


HARMS = [*damaged.NO_FILE, *damaged.NO_RECORD]


@pytest.mark.parametrize("harm", HARMS, ids=lambda harm: harm.__name__)
def test_what_is_no_record_is_damaged_or_missing(tmp_path, harm):
    damaged.replace(path := tmp_path / "record.json", harm)
    missing = harm is damaged.link_to_nowhere
    with pytest.raises(FileNotFoundError if missing else DamagedError):
        read_object(path, "token_ids")


def test_a_record_without_a_key_is_damaged(tmp_path):
    (path := tmp_path / "record.json").write_text('{"a": 1}')
    assert read_object(path, "a") == {"a": 1}
    with pytest.raises(DamagedError, match="without b or c"):
        read_object(path, "a", "b", "c")


def test_a_line_that_was_cut_short_costs_no_other(tmp_path):
    path = tmp_path / "events.jsonl"
    assert list(read_lines(path)) == []
    path.write_bytes(b'{"a": 1}\n{"a": \n{"a": 3}\n\xff\n{"a')
    assert list(read_lines(path)) == [{"a": 1}, {"a": 3}]
