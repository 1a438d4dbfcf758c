"""The supervisor of a backend: a long-running process that owns at most one engine process.

    python -m worker.supervisor --socket S --lease FILE --log FOLDER

Standard library only. It answers on a Unix socket, loads and replaces the engine, relays its
events, and kills its process group on a deadline, when the host's connection is lost in the
middle of work, when it is told to end, and when its lease runs out. Exit codes: 0 ended as told,
2 could not start, 5 the lease ran out.
"""

import argparse
import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from pathlib import Path

from worker import lease, protocol
from worker.service import Supervisor

ENDED, CANNOT_START, LEASE_EXPIRED = 0, 2, 5
PR_SET_CHILD_SUBREAPER = 36
"""prctl(2): orphans below this process become its children."""

LEASE_PERIOD_S = 1.0
"""Between two looks at the lease, and between two heartbeats."""


async def run(socket: Path, lease_file: Path, logs: Path) -> int:
    """Serve on `socket` until told to stop or until the lease runs out; returns the exit code.

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
    print("supervisor: listening", flush=True)  # who started it may wait for this line
    heartbeat = socket.with_suffix(".heartbeat")
    code = ENDED
    while not supervisor.stopped.is_set():
        if lease.expired(lease_file):
            print(f"supervisor: the lease {lease_file} has run out", file=sys.stderr)
            code = LEASE_EXPIRED
            break
        supervisor.check_log()
        heartbeat.touch()  # its age tells whoever looks that this loop goes on
        await _wait(supervisor.stopped, LEASE_PERIOD_S)
    server.close()
    await supervisor.stop()
    await supervisor.hang_up()
    for file in (socket, heartbeat):
        file.unlink(missing_ok=True)
    return code


async def _wait(event: asyncio.Event, timeout_s: float) -> None:
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(event.wait(), timeout_s)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m worker.supervisor")
    parser.add_argument("--socket", type=Path, required=True)
    parser.add_argument("--lease", type=Path, required=True)
    parser.add_argument("--log", type=Path, required=True, help="folder for the engine's output")
    arguments = parser.parse_args()
    os.umask(0o077)
    # What an engine leaves behind becomes our child, also where nobody else would reap it.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        return asyncio.run(run(arguments.socket, arguments.lease, arguments.log))
    except OSError as error:
        print(f"supervisor: {arguments.socket}: {error}", file=sys.stderr)
        return CANNOT_START


if __name__ == "__main__":
    sys.exit(main())
