"""The load as a process of the interpreter that is tried, and its end."""

import contextlib
import os
import select
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

SCRIPT = Path(__file__).parent / "matmul.py"
STARTED_S = 300.0
"""Deadline for torch to be imported and CUDA to be set up, from a slow disk too."""


class LoadError(Exception):
    """The load does not run; the message is the last line that it said."""


@contextlib.contextmanager
def load_on(uuid: str, *, python: str) -> Iterator[None]:
    """Keep a GPU busy inside the block.

    Raises:
        LoadError: it does not work, or it ended before the block did.
    """
    with tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(
                [python, str(SCRIPT)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**os.environ, "CUDA_VISIBLE_DEVICES": uuid},
            )
        except OSError as error:
            raise LoadError(f"{python}: {error.strerror}") from error

        def said() -> str:
            errors.seek(0)
            lines = errors.read().decode(errors="replace").split("\n")
            return next((line for line in reversed(lines) if line.strip()), "nothing")

        try:
            if not _says_working(process):
                raise LoadError(f"no load within {STARTED_S:.0f} s; it said: {said()}")
            yield
            if process.poll() is not None:
                raise LoadError(f"the load ended by itself; it said: {said()}")
        finally:
            _end(process)


def _says_working(process: subprocess.Popen[bytes]) -> bool:
    assert process.stdout is not None
    deadline_s = time.monotonic() + STARTED_S
    while select.select([process.stdout], [], [], max(0.0, deadline_s - time.monotonic()))[0]:
        line = process.stdout.readline()
        if line.strip() == b"working":
            return True
        if not line:
            process.wait()
            return False
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    with contextlib.suppress(OSError):
        process.stdin.close()
    try:
        process.wait(timeout=10.0)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()
