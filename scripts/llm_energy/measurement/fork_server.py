"""The fork server of a run: loads a measuring job's code once, and forks a process for each job.

It ends with Snakemake, however that ends: the kernel kills it then, and its forked processes with
it. It loads the code after the run took its digest, which each measurement compares with the files,
and it does not serve code that has changed in between.
"""

import contextlib
import multiprocessing
import os
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path

from llm_energy.backends.running import runtime_named
from llm_energy.backends.runtime import SCRIPTS, DeclaredBackend
from llm_energy.measurement.measuring_job import (
    LENGTH_BYTES,
    SERVER_VARIABLE,
    STREAMS,
    MeasuringJob,
    load_code,
    receive,
    run,
)
from llm_energy.runs.run import Run, code_digest
from llm_energy.system.processes import die_with_parent

FORK = multiprocessing.get_context("fork")

NEEDED_LATER = ("psutil", "pyarrow.parquet", "pynvml")
"""Packages that a job by itself loads where it needs them."""

Work = Callable[[MeasuringJob], None]


class ForkServer:
    """Start and end of the server, in the process that owns the run."""

    def __init__(self, run: Run) -> None:
        """Start it for the jobs of this process; returns before it listens."""
        address = Path(run.record.sockets) / "fork_server.sock"
        command = [sys.executable, "-m", "llm_energy.measurement.fork_server"]
        with (run.folder / "fork_server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, str(run.folder), str(address), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=run.folder,
                env=os.environ | {"PYTHONPATH": str(SCRIPTS)},
                start_new_session=True,
            )
        os.environ[SERVER_VARIABLE] = str(address)

    def end(self) -> None:
        """End it with the jobs that it still runs."""
        os.environ.pop(SERVER_VARIABLE, None)
        self.process.kill()
        self.process.wait()


def serve(listener: socket.socket, work: Work) -> None:
    """Do the work of each job that a client sends in a process forked for it; never returns."""
    with selectors.DefaultSelector() as selector:
        begin = partial(accept, listener, selector, work)
        selector.register(listener, selectors.EVENT_READ, begin)
        while True:
            for key, _ in selector.select():
                key.data()


def accept(listener: socket.socket, selector: selectors.BaseSelector, work: Work) -> None:
    """Fork a process for the job of a new client, and have both watched."""
    client, _ = listener.accept()
    try:
        job, streams = receive(client)
    except (OSError, ValueError):  # the client was ended while it sent
        client.close()
        return
    process = FORK.Process(target=work_in_fork, args=(work, job, streams, os.getpid()))
    process.start()
    for descriptor in streams:
        os.close(descriptor)

    def relay() -> None:
        """Send the process the signals of its client; a client that is gone takes it along."""
        with contextlib.suppress(OSError):  # the process has ended, and its client got the report
            sent = client.recv(1)
            if not sent:
                selector.unregister(client)
            assert process.pid is not None
            os.kill(process.pid, sent[0] if sent else signal.SIGKILL)

    def end() -> None:
        selector.unregister(process.sentinel)
        with contextlib.suppress(KeyError):  # the client has gone
            selector.unregister(client)
        report(process, client)

    selector.register(client, selectors.EVENT_READ, relay)
    selector.register(process.sentinel, selectors.EVENT_READ, end)


def report(process: BaseProcess, client: socket.socket) -> None:
    """Send a client the exit code of its process."""
    process.join()
    assert process.exitcode is not None
    with client, contextlib.suppress(OSError):  # the client has gone
        client.send(process.exitcode.to_bytes(LENGTH_BYTES, "little", signed=True))
    process.close()


def work_in_fork(work: Work, job: MeasuringJob, streams: list[int], server_pid: int) -> None:
    """Become the process that the job's script would be, and do its work."""
    die_with_parent(server_pid)
    for descriptor, standard in zip(streams, STREAMS, strict=True):
        os.dup2(descriptor, standard)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(job.environment)
    os.chdir(job.folder)
    work(job)


def main(folder: str, address: str, parent_pid: str) -> None:
    die_with_parent(int(parent_pid))
    served = Run(Path(folder))
    load_code(*NEEDED_LATER)
    for backend in served.all_in("declared", DeclaredBackend).values():
        runtime_named(backend.runtime)  # loads the Docker client only where one is needed
    if code_digest(SCRIPTS) != served.record.code_digest:
        sys.exit("the measuring code was changed while it was loaded")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        serve(listener, run)


if __name__ == "__main__":
    main(*sys.argv[1:])
