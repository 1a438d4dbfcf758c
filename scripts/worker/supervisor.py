"""The supervisor of a backend: a long-running process that owns at most one engine process.

    python -m worker.supervisor --socket S --log FOLDER [--lease FILE]

Standard library only. It answers on a Unix socket, loads and replaces the engine, relays its
events, and kills its process group on a deadline, when the host's connection is lost in the
middle of work, on a request to stop, and when its lease runs out. Without a lease it belongs to no
run: it lives until it is stopped, and ends an engine that nobody is connected to any more. Exit
codes: 0 ended on request, 2 could not start, 5 the lease ran out.
"""

import argparse
import asyncio
import contextlib
import ctypes
import os
import signal
import sys
import time
from pathlib import Path

from worker import protocol
from worker.service import Supervisor

ENDED, CANNOT_START, LEASE_EXPIRED = 0, 2, 5
PR_SET_CHILD_SUBREAPER = 36
"""prctl(2): orphans below this process become its children."""

LEASE_PERIOD_S = 1.0
"""Time between two checks of the lease, and between two heartbeats."""

UNUSED_S = 30.0
"""Without a lease: time that an engine outlives the last connection, as long as a lease lasts."""


async def run(socket: Path, lease_file: Path | None, logs: Path) -> int:
    """Serve on `socket` until a stop is requested or the lease, if there is one, runs out; return
    the exit code.

    Raises:
        OSError: the socket cannot be made.
    """
    supervisor = Supervisor(logs)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, supervisor.stopped.set)
    # Under its name the socket is there only once it accepts connections.
    unnamed = socket.with_name(f"{socket.name}~")
    unnamed.unlink(missing_ok=True)
    server = await asyncio.start_unix_server(
        supervisor.serve, unnamed, limit=protocol.MAX_LINE_BYTES
    )
    unnamed.rename(socket)
    print("supervisor: listening", flush=True)  # the process that started it may wait for this
    heartbeat = socket.with_suffix(".heartbeat")
    code = ENDED
    while not supervisor.stopped.is_set():
        if lease_file is None:
            await supervisor.end_unused(UNUSED_S)
        elif lease_expired(lease_file):
            print(f"supervisor: the lease {lease_file} has run out", file=sys.stderr)
            code = LEASE_EXPIRED
            break
        supervisor.check_log()
        heartbeat.touch()  # its age shows that this loop goes on
        await _wait(supervisor.stopped, LEASE_PERIOD_S)
    server.close()
    await supervisor.stop()
    await supervisor.hang_up()
    for file in (socket, heartbeat):
        file.unlink(missing_ok=True)
    return code


def lease_expired(lease: Path) -> bool:
    """Return True once the lease has run out; a missing or unreadable file is no lease.

    The host's watchdog renews it by writing a later expiry. The file holds one decimal number,
    seconds on CLOCK_MONOTONIC (which containers share with their host), and is replaced by rename,
    so that it is never seen half written.
    """
    try:
        expiry = float(lease.read_text())
    except (OSError, ValueError):
        return True
    return not time.monotonic() < expiry


async def _wait(event: asyncio.Event, timeout_s: float) -> None:
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(event.wait(), timeout_s)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m worker.supervisor")
    parser.add_argument("--socket", type=Path, required=True)
    parser.add_argument("--log", type=Path, required=True, help="folder for the engine's output")
    parser.add_argument("--lease", type=Path, help="file that its run renews; none: it has no run")
    arguments = parser.parse_args()
    os.umask(0o077)
    # Orphans of an engine become our children, also where no other process would reap them.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        return asyncio.run(run(arguments.socket, arguments.lease, arguments.log))
    except OSError as error:
        print(f"supervisor: {arguments.socket}: {error}", file=sys.stderr)
        return CANNOT_START


if __name__ == "__main__":
    sys.exit(main())
