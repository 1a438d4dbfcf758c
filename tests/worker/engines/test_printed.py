"""Text printed to stderr, which is a log file in an engine process, and to stdout."""

import ctypes
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.worker.backend import ROOT

from worker.engines._printed import printed_bytes, printed_since, with_printed


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    """A file that takes this process's stderr."""
    stderr = os.dup(2)
    with (tmp_path / "log").open("wb") as file:
        os.dup2(file.fileno(), 2)
    yield tmp_path / "log"
    os.dup2(stderr, 2)
    os.close(stderr)


@pytest.mark.usefixtures("log")
def test_only_what_came_since_is_read() -> None:
    os.write(2, b"before\n")
    start = printed_bytes()
    os.write(2, b"one\ntwo\n")
    assert printed_since(start) == ["one", "two"]


@pytest.mark.usefixtures("log")
def test_who_prints_may_be_late() -> None:
    start = printed_bytes()
    late = threading.Timer(0.2, os.write, (2, b"late\n"))
    late.start()
    assert printed_since(start) == ["late"]
    late.join()


def test_a_pipe_is_not_read() -> None:
    code = "from worker.engines._printed import *; assert printed_since(printed_bytes()) == []"
    environment = os.environ | {"PYTHONPATH": str(ROOT / "scripts")}
    subprocess.run(
        [sys.executable, "-c", code], stderr=subprocess.PIPE, env=environment, check=True
    )


def test_what_an_action_prints_is_taken_and_passed_on(capfd: pytest.CaptureFixture[str]) -> None:
    printf = ctypes.CDLL(None).printf
    os.write(1, b"before\n")
    result, printed = with_printed(lambda: printf(b"inside\n"))  # through the buffers of C
    assert (result, printed) == (7, ["inside"])
    assert capfd.readouterr().out == "before\ninside\n"


def test_what_a_failing_action_prints_is_passed_on(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError):
        with_printed(lambda: os.write(1, b"inside\n") / 0)
    assert capfd.readouterr().out == "inside\n"
