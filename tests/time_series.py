"""Real time-series servers of Debian on this machine, each with its own port and data folder."""

import contextlib
import json
import os
import pwd
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

PATIENCE_S = 60.0
PASSWORD = "MarkerOfAPasswordThatNoFileMayHold"
ADMINISTRATOR = "postgres"


def command(name: str, package: str) -> str:
    """The path of a server's program; without one the test skips, or fails where it is required."""
    places = [*Path("/usr/lib/postgresql").glob("*/bin"), *os.environ["PATH"].split(":")]
    if found := shutil.which(name, path=":".join(map(str, [*places, "/usr/sbin"]))):
        return found
    message = f"no {name}: install Debian's {package}"
    if os.environ.get("REQUIRE_TIME_SERIES"):
        pytest.fail(message)
    pytest.skip(message)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def ready(url: str) -> bool:
    """Return True where an HTTP server answers."""
    with contextlib.suppress(OSError):
        try:
            with urllib.request.urlopen(url, timeout=5):
                return True
        except urllib.error.HTTPError:
            return True
    return False


@contextmanager
def running(arguments: Sequence[str], folder: Path, url: str = "") -> Iterator[subprocess.Popen]:
    """Run a server inside the block, from when it answers."""
    log = folder / "server.log"
    with log.open("w") as file:
        process = subprocess.Popen(arguments, stdout=file, stderr=file, cwd=folder)
    try:
        end = time.monotonic() + PATIENCE_S
        while url and not ready(url):
            assert process.poll() is None, log.read_text()[-2000:]
            assert time.monotonic() < end, log.read_text()[-2000:]
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE_S)


@contextmanager
def influxdb(folder: Path, *, users: bool = False) -> Iterator[str]:
    """An InfluxDB 1 with the database `energy`; yields `127.0.0.1:PORT`."""
    program, port = command("influxd", "influxdb"), free_port()
    (folder / "influxdb.conf").write_text(f"""
reporting-disabled = true
bind-address = "127.0.0.1:{free_port()}"
[meta]
dir = "{folder}/meta"
[data]
dir = "{folder}/data"
wal-dir = "{folder}/wal"
[monitor]
store-enabled = false
[http]
bind-address = "127.0.0.1:{port}"
auth-enabled = {str(users).lower()}
log-enabled = false
""")
    address = f"127.0.0.1:{port}"
    arguments = [program, "run", "-config", str(folder / "influxdb.conf")]
    with running(arguments, folder, f"http://{address}/ping"):
        login = {"u": "admin", "p": PASSWORD} if users else {}
        if users:
            post(
                address,
                "/query",
                {"q": f"CREATE USER admin WITH PASSWORD '{PASSWORD}' WITH ALL PRIVILEGES"},
            )
        post(address, "/query", {"q": "CREATE DATABASE energy", **login})
        yield address


@contextmanager
def victoria_metrics(folder: Path, *options: str, port: int | None = None) -> Iterator[str]:
    """A VictoriaMetrics; yields `127.0.0.1:PORT`."""
    program, port = command("victoria-metrics", "victoria-metrics"), port or free_port()
    address = f"127.0.0.1:{port}"
    arguments = [
        program,
        f"-storageDataPath={folder}/data",
        f"-httpListenAddr={address}",
        "-retentionPeriod=100y",
        "-memory.allowedBytes=256MB",
        *options,
    ]
    with running(arguments, folder, f"http://{address}/health"):
        yield address


@contextmanager
def postgresql(folder: Path, *, fsync: bool = False) -> Iterator[str]:
    """A PostgreSQL with the database `energy`, whose users need a password; yields
    `127.0.0.1:PORT`."""
    initdb, server = command("initdb", "postgresql"), command("postgres", "postgresql")
    port, data = free_port(), folder / "data"
    data.mkdir()
    (folder / "password").write_text(PASSWORD)
    # It refuses to run as root.
    as_user = []
    if os.getuid() == 0:
        as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
        user = pwd.getpwnam("postgres")
        for path in (data, folder / "password"):
            os.chown(path, user.pw_uid, user.pw_gid)
        for parent in folder.parents:
            if parent.stat().st_uid == 0 and parent != Path("/"):
                parent.chmod(parent.stat().st_mode | 0o011)
        folder.chmod(0o755)
    made = [*as_user, initdb, "-D", str(data), "-U", ADMINISTRATOR, "-A", "scram-sha-256"]
    made += ["--pwfile", str(folder / "password"), "-E", "UTF8", "--no-sync"]
    subprocess.run(made, check=True, capture_output=True, cwd="/")
    options = ["-c", f"port={port}", "-c", "listen_addresses=127.0.0.1"]
    options += ["-c", f"unix_socket_directories={data}", "-c", f"fsync={'on' if fsync else 'off'}"]
    with running([*as_user, server, "-D", str(data), *options], folder):
        import psycopg

        end = time.monotonic() + PATIENCE_S
        while True:
            try:
                admin = f"postgresql://{ADMINISTRATOR}@127.0.0.1:{port}/postgres"
                with psycopg.connect(admin, password=PASSWORD, autocommit=True) as connection:
                    connection.execute("CREATE DATABASE energy")
                break
            except psycopg.OperationalError:
                assert time.monotonic() < end, (folder / "server.log").read_text()[-2000:]
                time.sleep(0.05)
        yield f"127.0.0.1:{port}"


def post(address: str, path: str, query: dict[str, str]) -> None:
    """Send a POST request, again while the server does not know its users yet."""
    url = f"http://{address}{path}?{urllib.parse.urlencode(query)}"
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, method="POST")):
                return
        except urllib.error.HTTPError as error:
            if error.code not in (401, 403) or time.monotonic() > end:
                raise
        time.sleep(0.1)


def got(address: str, path: str, **query: str) -> bytes:
    """The answer to a GET request."""
    url = f"http://{address}{path}?{urllib.parse.urlencode(query)}"
    with urllib.request.urlopen(url) as answer:
        content: bytes = answer.read()
    return content


def got_json(address: str, path: str, **query: str) -> Any:
    return json.loads(got(address, path, **query))
