"""nvidia-smi running beside our sampler, where the engine runs, and what each of them costs."""

import contextlib
import re
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from llm_energy.backends.runtime import BackendError, Transport

SCRIPT = """\
TZ=UTC0 LC_ALL=C; export TZ LC_ALL
"$@" 2>&1 &
read -r end
kill $!
wait $!
echo
times
"""
"""Runs a command until stdin ends or delivers a line. `times` (POSIX) prints the CPU time that
its children took, in a container as on the host, whose process ids may differ."""

SAMPLER = "power-sampler"
"""Name of the sampler's thread."""

LAST_ROW_S = 15.0
"""How long to wait for a line after the measurement: the tool may fill a block of 4 kB before it
writes to a pipe, which are 60 rows."""

POLL_S = 0.1
TIMES = re.compile(r"^(\d+)m([\d.]+)s (\d+)m([\d.]+)s$")


class Beside:
    """Runs a sampling command from the moment our sampler begins until the end of the block.

    It begins with the sampler because only then are the devices held: another measurement of this
    host must not feel it.

    Args:
        execute: runs a command where the engine runs.
        command: what samples, until it is ended.
    """

    def __init__(self, execute: Callable[[Sequence[str]], Transport], command: list[str]) -> None:
        self._execute = execute
        self._command = ["sh", "-c", SCRIPT, "sh", *command]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="nvidia-smi", daemon=True)
        self.lines: list[tuple[float, str]] = []
        """When each line arrived (CLOCK_MONOTONIC, s), and its text."""
        self.lasted_s: float | None = None
        """From the command's start to its end."""
        self.command_cpu_s: float | None = None
        """CPU time of the command, its start included."""
        self.reader_cpu_s: float | None = None
        """CPU time of the thread that takes its lines."""
        self.sampler_cpu_s: list[tuple[float, float]] = []
        """Moments (CLOCK_MONOTONIC, s) and CPU time of our sampler's thread until then."""

    def __enter__(self) -> "Beside":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while sampler_thread() is None:
            if self._over.wait(0.01):
                return
        started_s = time.monotonic()
        with contextlib.suppress(BackendError):  # what it printed until then is there
            transport = self._execute(self._command)
            try:
                self._collect(transport)
                transport.send(b"")
                self._collect_times(transport)
            finally:
                self.lasted_s = time.monotonic() - started_s
                transport.close()
        self.reader_cpu_s = time.thread_time()

    def _collect(self, transport: Transport) -> None:
        """Lines until one came after the end of the measurement."""
        over_s: float | None = None
        while over_s is None or time.monotonic() < over_s + LAST_ROW_S:
            line = transport.receive(POLL_S)
            if line is not None:
                self.lines.append((time.monotonic(), line.decode(errors="replace")))
            sampler = sampler_thread()  # before a campaign's first measurement there is another one
            if sampler and (cpu_s := cpu_of(sampler)) is not None:
                self.sampler_cpu_s.append((time.monotonic(), cpu_s))
            if over_s is not None and line is not None:
                return
            if over_s is None and self._over.is_set():
                over_s = time.monotonic()

    def _collect_times(self, transport: Transport) -> None:
        deadline_s = time.monotonic() + 10.0
        while (line := transport.receive(max(0.0, deadline_s - time.monotonic()))) is not None:
            if found := TIMES.match(line.decode(errors="replace").strip()):
                minutes, seconds, more_minutes, more_seconds = map(float, found.groups())
                self.command_cpu_s = 60.0 * (minutes + more_minutes) + seconds + more_seconds


def sampler_thread() -> threading.Thread | None:
    """The thread of our sampler, while it runs."""
    return next((t for t in threading.enumerate() if t.name == SAMPLER), None)


def cpu_of(thread: threading.Thread) -> float | None:
    """CPU time that a thread of this process has used, in s; None if it is over, or not known.

    Source: Linux, Documentation/scheduler/sched-stats.rst: the first number of schedstat, in ns.
    """
    try:
        text = Path(f"/proc/self/task/{thread.native_id}/schedstat").read_text()
        return int(text.split()[0]) * 1e-9
    except (OSError, ValueError, IndexError):
        return None


ONCE = 'TZ=UTC0 LC_ALL=C; export TZ LC_ALL; exec "$@" 2>&1'
ONCE_S = 60.0
"""Deadline of a single call: without persistence mode the driver is loaded for it."""


def run_once(
    execute: Callable[[Sequence[str]], Transport], command: list[str]
) -> tuple[list[str], float]:
    """Run a command that ends by itself: its lines, and how long it took, in s."""
    started_s = time.monotonic()
    deadline_s = started_s + ONCE_S
    lines = []
    transport = execute(["sh", "-c", ONCE, "sh", *command])
    try:
        with contextlib.suppress(BackendError):  # its end
            while (line := transport.receive(max(0.0, deadline_s - time.monotonic()))) is not None:
                lines.append(line.decode(errors="replace"))
        return lines, time.monotonic() - started_s
    finally:
        transport.close()
