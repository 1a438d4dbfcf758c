"""A measuring job, run in a process that the run's fork server forks for it, or in its own.

What a job loads takes longer than all else that a measurement costs beyond itself. The fork server
loads it once for each run; a job's script hands over what identifies a process (standard streams,
environment, folder) and waits. Signals that the script gets go to the forked process, which ends
with the script, as the script ends with it. This module loads little, so that the script is fast.
"""

import contextlib
import json
import os
import signal
import socket
import sys
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from llm_energy.system.processes import ENDS

SERVER_VARIABLE = "LLM_ENERGY_FORK_SERVER"
"""Environment variable that tells the jobs of a run the socket of its fork server."""

LENGTH_BYTES = 4
STREAMS = [0, 1, 2]


@dataclass(frozen=True)
class MeasuringJob:
    """A job of the rule `measure`, as Snakemake gave it to its script."""

    rule: str
    input: list[str]
    output: str
    log: list[str]
    spec_hash: str
    cycle: int
    begun_s: float
    """CLOCK_MONOTONIC when the script began."""
    folder: str = field(default_factory=os.getcwd)
    environment: dict[str, str] = field(default_factory=lambda: dict(os.environ))


def load_code(*packages: str) -> None:
    """Import the code of a measuring job, and further packages."""
    # pyarrow loads NumPy where it finds it, which would cost 0.1 s; nothing here is an array of it.
    sys.modules["numpy"] = None  # type: ignore[assignment]
    for name in ("llm_energy.measurement.attempts", "llm_energy.system.scripting", *packages):
        import_module(name)


def run(job: MeasuringJob) -> None:
    """Measure in this process; a failure is a SystemExit."""
    load_code()
    from llm_energy.measurement.attempts import measure_planned
    from llm_energy.system.scripting import rule_script

    with rule_script(job):
        measure_planned(
            Path(job.output),
            spec_hash=job.spec_hash,
            cycle=job.cycle,
            log=Path(job.log[0]),
            begun_s=job.begun_s,
        )


def run_forked(job: MeasuringJob) -> int | None:
    """Have the fork server run a job; returns its exit code, None where no server is reached."""
    with socket.socket(socket.AF_UNIX) as server:
        try:
            server.connect(os.environ.get(SERVER_VARIABLE, ""))
        except OSError:
            return None
        answer = b""
        with contextlib.suppress(ConnectionError):
            send(server, job)
            answer = server.recv(LENGTH_BYTES)
    if not answer:
        print(f"{job.rule}: the run's fork server ended, and this job with it", file=sys.stderr)
        return 1
    code = int.from_bytes(answer, "little", signed=True)
    return code if code >= 0 else 128 - code  # as a shell reports a signal


def send(server: socket.socket, job: MeasuringJob) -> None:
    """Send a job with the standard streams of this process, and from then on its signals."""

    def forward(number: int, _: object) -> None:
        with contextlib.suppress(OSError):  # the job has ended
            server.send(bytes([number]))

    body = json.dumps(vars(job)).encode()
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)
    socket.send_fds(server, [len(body).to_bytes(LENGTH_BYTES, "little")], STREAMS)
    server.sendall(body)
    for number in ENDS:
        signal.signal(number, forward)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDS)


def receive(client: socket.socket) -> tuple[MeasuringJob, list[int]]:
    """Receive a job and descriptors of its standard streams.

    Raises:
        ValueError: the client ended before it had sent all.
    """
    length, streams, _, _ = socket.recv_fds(client, LENGTH_BYTES, len(STREAMS))
    body = client.recv(int.from_bytes(length, "little"), socket.MSG_WAITALL)
    return MeasuringJob(**json.loads(body)), streams
