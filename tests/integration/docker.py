"""The real Docker engine in tests: whether there is one, and what of ours it holds."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from llm_energy.containers.engine import LABEL, DockerError, connect


def require_docker() -> None:
    """Skip without a Docker engine; fail where the caller's environment says there must be one."""
    try:
        connect().close()
    except DockerError as error:
        if os.environ.get("REQUIRE_DOCKER"):
            pytest.fail(str(error))
        pytest.skip(str(error))


def compose() -> list[str]:
    """Command of Compose 2; the first version does not read the current specification."""
    command = ["docker", "compose"]
    if subprocess.run([*command, "version"], capture_output=True).returncode == 0:
        return command
    if os.environ.get("REQUIRE_COMPOSE"):
        pytest.fail("this test needs Docker Compose 2")
    pytest.skip("this test needs Docker Compose 2")


class Engine:
    """A Docker engine of the test's own, which may be stopped: without networks, in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        # Unix socket paths hold 107 characters; test folders may be longer.
        self._sockets = Path(tempfile.mkdtemp(prefix="engine-", dir="/tmp"))
        self.address = f"unix://{self._sockets}/docker.sock"

    def start(self) -> None:
        folder = self._folder
        folder.mkdir(exist_ok=True)
        # In a network namespace of its own: `--bridge none` deletes the bridge that is there.
        command = ["unshare", "--net", "--", "dockerd"]
        command += ["--host", self.address, "--data-root", str(folder / "data")]
        command += ["--exec-root", str(self._sockets / "exec"), "--pidfile", str(folder / "pid")]
        command += ["--bridge", "none", "--iptables=false", "--ip-masq=false"]
        with (folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        for _ in range(300):
            if self.docker("version", check=False).returncode == 0:
                return
            time.sleep(0.1)
        raise AssertionError(f"dockerd did not start: {(folder / 'log').read_text()[-2000:]}")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=60)

    def restart(self) -> None:
        self.stop()
        self.start()

    def remove(self) -> None:
        """Stop it for good."""
        self.stop()
        shutil.rmtree(self._sockets, ignore_errors=True)

    def docker(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
        options = {"check": True, "capture_output": True} | options
        return subprocess.run(["docker", "--host", self.address, *arguments], **options)

    def copy_image(self, name: str) -> None:
        """Give it an image of the host's engine."""
        with subprocess.Popen(["docker", "save", name], stdout=subprocess.PIPE) as saved:
            self.docker("load", stdin=saved.stdout)
        assert saved.returncode == 0


@contextmanager
def own_engine(folder: Path, images: Sequence[str]) -> Iterator[Engine]:
    """An engine of the test's own that has some images of the host's engine."""
    if shutil.which("dockerd") is None or os.geteuid() != 0:
        if os.environ.get("REQUIRE_DOCKER"):
            pytest.fail("a second Docker engine needs dockerd and root")
        pytest.skip("a second Docker engine needs dockerd and root")
    engine = Engine(folder)
    engine.start()
    try:
        for image in images:
            engine.copy_image(image)
        yield engine
    finally:
        engine.remove()


def supervisor_of(container: str) -> int:
    """Return the host id of the supervisor in a container: the first child of its init process.

    Its command line and its age do not tell it: an engine that is being started has the same
    command line for a moment, and clients of later start come and go.
    """
    client = connect()
    try:
        init = psutil.Process(client.containers.get(container).attrs["State"]["Pid"])
    finally:
        client.close()
    return min(init.children(), key=psutil.Process.create_time).pid


def containers_of(run_id: str) -> list[str]:
    """Names of all containers of a run, in whatever state."""
    client = connect()
    try:
        found = client.containers.list(
            all=True, ignore_removed=True, filters={"label": f"{LABEL}.run={run_id}"}
        )
        return [container.name for container in found]
    finally:
        client.close()


def containers_below(folder: Path) -> list[str]:
    """Names of all containers that have a file of `folder` mounted: those of a checkout."""
    client = connect()
    try:
        return [
            container.name
            for container in client.containers.list(all=True, ignore_removed=True)
            if any(mount["Source"].startswith(f"{folder}/") for mount in container.attrs["Mounts"])
        ]
    finally:
        client.close()
