"""A results folder is added to by one run at a time, wherever its runs are."""

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests import damaged

from llm_energy.backends.runtime import SCRIPTS
from llm_energy.runs import results_lock
from llm_energy.runs.results_lock import FILE, LockedError, Owner, ResultsLock
from llm_energy.system.files import TEMPORARY

TAKE = """
import sys, time
from pathlib import Path
from llm_energy.runs.results_lock import LockedError, ResultsLock
try:
    lock = ResultsLock(Path(sys.argv[1]))
except LockedError as error:
    print(f"refused: {error}", flush=True)
else:
    print("taken", flush=True)
    sys.stdin.read()
"""


def taker(folder: Path) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", TAKE, str(folder)],
        env=os.environ | {"PYTHONPATH": str(SCRIPTS)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def edit(folder: Path, **changes) -> None:
    """Change the record of a lock, under an inode of its own that nobody holds."""
    path = folder / FILE
    content = json.loads(path.read_text())
    content["process"] |= changes.pop("process", {})
    path.unlink()
    path.write_text(json.dumps(content | changes))


@pytest.fixture
def killed(tmp_path):
    """A folder whose owner was killed."""
    owner = taker(tmp_path)
    assert owner.stdout.readline() == "taken\n"
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    assert (tmp_path / FILE).exists()
    return tmp_path


def test_while_it_is_held_nobody_else_gets_it(tmp_path):
    lock = ResultsLock(tmp_path)
    other = taker(tmp_path)
    said, _ = other.communicate()
    assert said.startswith(f"refused: is being measured by process {os.getpid()} of ")
    assert "wait for it to end, or end it" in said
    lock.release()
    lock.release()
    assert list(tmp_path.iterdir()) == []
    ResultsLock(tmp_path).release()


def test_it_is_taken_over_from_an_owner_that_is_dead(killed):
    ResultsLock(killed).release()


def test_of_many_that_find_the_owner_dead_one_gets_it(killed):
    takers = [taker(killed) for _ in range(6)]
    said = [other.stdout.readline() for other in takers]
    for other in takers:
        other.communicate()
    assert sorted(line[:5] for line in said) == ["refus"] * 5 + ["taken"]


@pytest.mark.parametrize(
    "changes",
    [
        {"host": "elsewhere", "process": {"boot": "another"}},
        {"machine": "", "process": {"boot": "another"}},
        {"machine": "another", "process": {"boot": "another"}},
    ],
    ids=["another name", "no id", "another id"],
)
def test_that_of_another_host_is_never_taken_over(killed, changes):
    edit(killed, **changes)
    before = (killed / FILE).read_bytes()
    with pytest.raises(LockedError, match=rf"or if it has ended: rm {killed / FILE}"):
        ResultsLock(killed)
    assert (killed / FILE).read_bytes() == before
    assert [path.name for path in killed.iterdir()] == [FILE]


def test_that_of_this_host_before_it_was_started_again_is_taken_over(killed, monkeypatch, tmp_path):
    machine = tmp_path / "machine-id"
    machine.write_text("0123\n")
    monkeypatch.setattr(results_lock, "MACHINE", machine)
    edit(killed, machine="0123", process={"boot": "another"})
    ResultsLock(killed).release()


def test_a_lock_that_nobody_can_read_is_left_alone(tmp_path):
    (tmp_path / FILE).write_text("{")
    with pytest.raises(LockedError, match=rf"if by nobody: rm {tmp_path / FILE}"):
        ResultsLock(tmp_path)


@pytest.mark.parametrize("harm", [*damaged.NO_FILE, damaged.empty], ids=lambda harm: harm.__name__)
def test_what_is_no_lock_is_left_alone_and_named_with_its_remedy(tmp_path, harm):
    damaged.replace(path := tmp_path / FILE, harm)
    remedy = f"if by nobody: rm {'-r ' * (harm is damaged.folder)}{path}"
    with pytest.raises(LockedError) as caught:
        ResultsLock(tmp_path)
    assert str(caught.value).endswith(remedy)
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_to_the_lock_of_another_folder_is_not_followed(killed, tmp_path):
    (other := tmp_path / "other").mkdir()
    (other / FILE).symlink_to(killed / FILE)
    with pytest.raises(LockedError, match=rf"if by nobody: rm {other / FILE}"):
        ResultsLock(other)


def test_without_flock_one_in_another_container_may_live(killed, monkeypatch):
    """Processes of another namespace cannot be seen from here."""

    def refuse(*_):
        raise OSError(errno.ENOLCK, "no locks here")

    edit(killed, namespace="pid:[1]")
    with monkeypatch.context() as without:
        without.setattr(results_lock.fcntl, "flock", refuse)
        with pytest.raises(LockedError, match="is being measured by"):
            ResultsLock(killed)
    ResultsLock(killed).release()


def test_a_host_whose_id_is_not_made_yet_is_not_known_again(killed, monkeypatch, tmp_path):
    machine = tmp_path / "machine-id"
    machine.write_text("uninitialized\n")
    monkeypatch.setattr(results_lock, "MACHINE", machine)
    edit(killed, machine=Owner.here().machine, process={"boot": "another"})
    with pytest.raises(LockedError, match="of which nothing can be known from here"):
        ResultsLock(killed)


def test_what_a_taker_leaves_that_is_killed_is_swept(tmp_path, monkeypatch):
    seen = list[Path]()
    monkeypatch.setattr(ResultsLock, "_put_into_place", lambda _, own: seen.append(own))
    ResultsLock(tmp_path).release()
    assert [own.match(TEMPORARY) for own in seen] == [True]


def test_the_lock_of_the_next_one_is_not_given_back(tmp_path):
    first = ResultsLock(tmp_path)
    (tmp_path / FILE).unlink()  # by hand
    second = ResultsLock(tmp_path)
    first.release()
    assert (tmp_path / FILE).exists()
    second.release()


def test_without_hard_links_it_is_exclusive_too(killed, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    lock = ResultsLock(killed)  # of a dead owner
    said, _ = taker(killed).communicate()
    assert said.startswith("refused: is being measured by process ")
    lock.release()
    lock = ResultsLock(killed)
    said, _ = taker(killed).communicate()
    assert said.startswith("refused: is being measured by process ")
    lock.release()
