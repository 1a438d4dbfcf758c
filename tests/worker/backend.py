"""Parts shared by the worker's tests: a load, a supervisor and connections to it, its processes."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.waiting import PATIENCE_S, wait_until

ROOT = Path(__file__).parents[2]
PROMPTS = [[1, 2, 3, 4], [5, 6, 7], [8, 9], [10, 11, 12]]


def workload(**changes: Any) -> dict[str, Any]:
    """A short load of 4 prompts, with `changes`; those of the warm-up go below `warmup`."""
    warmup = {
        "cap_s": 0.2,
        "first_wave_deadline_s": PATIENCE_S,
        "bound": 0.01,
    } | changes.pop("warmup", {})
    return {
        "mode": "waves",
        "batch_size": 2,
        "output_tokens": 5,
        "prompts": PROMPTS,
        "sampling": {},
        "minimum_duration_s": 0.1,
        "tail_s": 0.05,
        "warmup": warmup,
    } | changes


def measured_open(peer: "Peer", *, rate: float, **changes: Any) -> dict[str, Any]:
    """The report of an open load with Poisson arrivals."""
    arrivals = {"process": "poisson", "rate": rate}
    measured: dict[str, Any] = peer.measure(mode="open", arrivals=arrivals, **changes)
    assert measured["event"] == "measured", measured
    return measured


def group_members(group: int) -> list[int]:
    """Pids of the living processes of a process group."""
    members = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, its_group = stat.read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state not in "ZX":
                members.append(int(stat.parent.name))
    return members


class Peer:
    """A connection to a supervisor."""

    def __init__(self, path: Path, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(patience_s)
        self._socket.connect(str(path))
        self._lines = self._socket.makefile("rb")

    def send(self, op: str, **fields: Any) -> None:
        self.send_line(json.dumps({"op": op, **fields}).encode() + b"\n")

    def send_line(self, line: bytes) -> None:
        self._socket.sendall(line)

    def receive(self) -> dict[str, Any]:
        line = self._lines.readline()
        assert line, "the supervisor closed the connection"
        event: dict[str, Any] = json.loads(line)
        return event

    def answer(self) -> list[dict[str, Any]]:
        """All events up to the final one."""
        events = [self.receive()]
        while not events[-1].get("final"):
            events.append(self.receive())
        return events

    def ask(self, op: str, **fields: Any) -> dict[str, Any]:
        """The final event that answers a request."""
        self.send(op, **fields)
        return self.answer()[-1]

    def load(self, *, key: str = "key", deadline_s: float | None = None, **fields: Any) -> Any:
        deadline_s = self._patience_s if deadline_s is None else deadline_s
        return self.ask("load", deadline_s=deadline_s, key=key, engine=fields)

    def measure(self, *, deadline_s: float | None = None, **changes: Any) -> Any:
        deadline_s = self._patience_s if deadline_s is None else deadline_s
        return self.ask("measure", deadline_s=deadline_s, workload=workload(**changes))

    def wait_for(self, **fields: Any) -> dict[str, Any]:
        """The next event with these fields."""
        while True:
            event = self.receive()
            assert event["event"] != "error", event
            if fields.items() <= event.items():
                return event

    def close(self) -> None:
        self._lines.close()
        self._socket.close()


class Backend:
    """A supervisor process with its socket, lease and logs."""

    def __init__(
        self,
        folder: Path,
        *,
        scripts: Path,
        python: str,
        lease_s: float | None = 600.0,
        program: Sequence[str] = ("-m", "worker.supervisor"),
        memory_bytes: int | None = None,
    ) -> None:
        """Start it.

        Args:
            lease_s: how long its lease lasts; None: it has none.
            program: arguments of Python before its own.
            memory_bytes: limit of the address space of it and of its engines.
        """
        self.socket = folder / "s"
        self.lease = folder / "lease"
        self.logs = folder
        self.environment = os.environ | {"PYTHONPATH": str(scripts)}
        command = [python, *program, "--socket", str(self.socket), "--log", str(self.logs)]
        if lease_s is not None:
            self.renew(lease_s)
            command += ["--lease", str(self.lease)]
        if memory_bytes is not None:
            command = ["prlimit", f"--as={memory_bytes}", *command]
        self.process = subprocess.Popen(command, env=self.environment, stderr=subprocess.PIPE)
        wait_until(
            lambda: self.socket.exists() or self.process.poll() is not None,
            what="the supervisor listens",
        )

    def renew(self, lease_s: float) -> None:
        new = self.lease.with_suffix(".new")
        new.write_text(f"{time.monotonic() + lease_s:.3f}\n")
        new.rename(self.lease)

    def connect(self, patience_s: float = PATIENCE_S) -> Peer:
        return Peer(self.socket, patience_s)

    def ended(self) -> int:
        """Waits for the supervisor to end by itself; its exit code."""
        return self.process.wait(PATIENCE_S)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(PATIENCE_S)
        assert self.process.stderr is not None
        self.process.stderr.close()


def ask_oneshot(
    question: dict[str, Any], *, python: str = sys.executable, scripts: Path = ROOT / "scripts"
) -> tuple[dict[str, Any], int]:
    """Answer and exit code of `worker.oneshot`."""
    done = subprocess.run(
        [python, "-m", "worker.oneshot"],
        input=json.dumps(question).encode(),
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(scripts), "HF_HUB_OFFLINE": "1"},
        timeout=600,
        check=False,
    )
    return json.loads(done.stdout), done.returncode
