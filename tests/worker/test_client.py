"""The client relays lines between stdio and a socket, and ends when either side does."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest
from tests.waiting import PATIENCE_S
from tests.worker.backend import ROOT, Backend

from worker.protocol import PROTOCOL, encode


def start(path: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "worker.client", str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT / "scripts")},
    )


def write(stream: BinaryIO, line: bytes) -> None:
    stream.write(line)
    stream.flush()


@pytest.fixture
def listener(short_folder: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(short_folder / "s"))
        listener.listen()
        listener.settimeout(PATIENCE_S)
        yield listener


def test_talks_to_a_supervisor_and_ends_well_with_stdin(backend: Backend) -> None:
    with start(backend.socket) as client:
        assert client.stdin is not None
        assert client.stdout is not None
        client.stdin.write(encode({"op": "hello", "protocol": PROTOCOL}))
        client.stdin.flush()
        assert b'"event":"hello"' in client.stdout.readline()
        client.stdin.close()
        assert client.wait(PATIENCE_S) == 0


def test_long_lines_pass_both_ways(listener: socket.socket, short_folder: Path) -> None:
    line = b"x" * 3_000_000 + b"\n"
    with start(short_folder / "s") as client:
        assert client.stdin is not None
        assert client.stdout is not None
        connection, _ = listener.accept()
        with connection, connection.makefile("rwb") as stream:
            sender = threading.Thread(target=write, args=(client.stdin, line))
            sender.start()
            assert stream.readline() == line
            sender.join()
            sender = threading.Thread(target=write, args=(stream, line))
            sender.start()
            assert client.stdout.readline() == line
            sender.join()
            client.stdin.close()
            assert client.wait(PATIENCE_S) == 0


def test_a_closed_connection_is_code_4(listener: socket.socket, short_folder: Path) -> None:
    with start(short_folder / "s") as client:
        connection, _ = listener.accept()
        connection.close()
        assert client.wait(PATIENCE_S) == 4


def test_nobody_there_is_code_3_with_one_line(tmp_path: Path) -> None:
    with start(tmp_path / "nothing") as client:
        _, errors = client.communicate(timeout=PATIENCE_S)
        assert client.returncode == 3
        assert errors.decode() == f"worker.client: {tmp_path}/nothing: No such file or directory\n"


def test_ends_when_nobody_reads_its_answers(listener: socket.socket, short_folder: Path) -> None:
    with start(short_folder / "s") as client:
        assert client.stdout is not None
        connection, _ = listener.accept()
        client.stdout.close()
        connection.sendall(b"{}\n")
        assert client.wait(PATIENCE_S) == 4
        connection.close()
