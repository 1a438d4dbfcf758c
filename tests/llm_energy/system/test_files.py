"""New files never replace what is there, and what a killed writer left goes some day."""

import errno
import os
from pathlib import Path

import pytest

from llm_energy.system import files
from llm_energy.system.files import TEMPORARY, remove_abandoned, write_new


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
    for path in (old, result):
        os.utime(path, (0, 0))
    remove_abandoned(tmp_path.rglob(TEMPORARY))
    assert sorted(tmp_path.iterdir()) == [new, result]
