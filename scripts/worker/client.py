"""Relays lines between stdio and a supervisor's socket: what the host executes in a backend.

    python -m worker.client SOCKET

It understands nothing of what passes and imports little, so that it starts fast. It ends when
either side does, which is how the supervisor learns that the host is gone. Exit codes: 0 stdin
ended, 3 the supervisor cannot be reached, 4 the supervisor closed the connection.
"""

import os
import select
import socket
import sys

CLEAN_END, CANNOT_CONNECT, CONNECTION_LOST = 0, 3, 4
CHUNK_BYTES = 1 << 16


def relay(connection: socket.socket, source: int, target: int) -> int:
    """Pass bytes both ways until one side ends; returns the exit code."""
    incoming = connection.fileno()
    while True:
        ready, _, _ = select.select([source, incoming], [], [])
        try:
            if incoming in ready:
                received = connection.recv(CHUNK_BYTES)
                if not received:
                    return CONNECTION_LOST
                _write_all(target, received)
            if source in ready:
                sent = os.read(source, CHUNK_BYTES)
                if not sent:
                    return CLEAN_END
                connection.sendall(sent)
        except ConnectionError:  # of the socket, or our stdout has no reader any more
            return CONNECTION_LOST


def _write_all(target: int, data: bytes) -> None:
    while data:
        data = data[os.write(target, data) :]


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("usage: python -m worker.client SOCKET", file=sys.stderr)
        return 2
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.connect(arguments[0])
        except OSError as error:
            print(f"worker.client: {arguments[0]}: {error.strerror}", file=sys.stderr)
            return CANNOT_CONNECT
        return relay(connection, source=0, target=1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
