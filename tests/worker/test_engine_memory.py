"""Shared memory of killed processes."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from worker.engine_memory import (
    find_shared_memory,
    oom_kills,
    release_shared_memory,
    remove,
    shared_files,
)

SHARER = """
import mmap, sys, time
files = [open(path, "r+b") for path in sys.argv[1:]]
maps = [mmap.mmap(file.fileno(), 0) for file in files]
print("mapped", flush=True)
time.sleep(600)
"""


class Sharer:
    """A process in a group of its own that maps files."""

    def __init__(self, *paths: Path) -> None:
        for path in paths:
            path.write_bytes(bytes(4096))
        command = [sys.executable, "-c", SHARER, *map(str, paths)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"mapped\n"

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    folder = tmp_path / "shm"
    folder.mkdir()
    return folder


@pytest.fixture
def sharer(shared: Path, tmp_path: Path) -> Iterator[Sharer]:
    sharer = Sharer(shared / "a", shared / "b c", tmp_path / "elsewhere")
    yield sharer
    sharer.end()


def test_what_a_group_maps_is_removed(sharer: Sharer, shared: Path, tmp_path: Path) -> None:
    (shared / "unmapped").touch()
    release_shared_memory(sharer.process.pid, before=(), folder=shared)
    assert [path.name for path in shared.iterdir()] == ["unmapped"]
    assert (tmp_path / "elsewhere").exists()


def test_what_was_there_before_the_group_is_kept(sharer: Sharer, shared: Path) -> None:
    release_shared_memory(sharer.process.pid, before=shared_files(shared), folder=shared)
    assert sorted(path.name for path in shared.iterdir()) == ["a", "b c"]


def test_another_file_of_a_name_that_was_there_before_is_removed(shared: Path) -> None:
    (shared / "a").touch()
    before = shared_files(shared)
    (shared / "new").touch()
    (shared / "new").replace(shared / "a")
    sharer = Sharer(shared / "a")
    release_shared_memory(sharer.process.pid, before=before, folder=shared)
    sharer.end()
    assert list(shared.iterdir()) == []


def test_other_groups_are_left_alone(sharer: Sharer, shared: Path) -> None:
    other = Sharer(shared / "other")
    release_shared_memory(sharer.process.pid, before=(), folder=shared)
    other.end()
    assert [path.name for path in shared.iterdir()] == ["other"]


def test_what_is_found_can_be_removed_when_its_processes_are_gone(
    sharer: Sharer, shared: Path
) -> None:
    found = find_shared_memory(sharer.process.pid, before=(), folder=shared)
    (shared / "a").unlink()  # one of them did it itself
    sharer.process.kill()
    sharer.process.wait()
    remove(found)
    assert list(shared.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "count"), [("pgfault 1\noom_kill 3\n", 3), ("pgfault 1\n", None)]
)
def test_out_of_memory_kills_are_counted_by_the_kernel(
    tmp_path: Path, content: str, count: int | None
) -> None:
    vmstat = tmp_path / "vmstat"
    vmstat.write_text(content)
    assert oom_kills(vmstat) == count


def test_their_count_is_unknown_where_there_is_no_such_file(tmp_path: Path) -> None:
    assert oom_kills(tmp_path / "vmstat") is None
