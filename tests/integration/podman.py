"""Podman as tests use it: a service of the test's own, in folders of its own."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
import pytest

CONFIGURATION = """\
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
"""
"""Without systemd, as in a container or a minimal virtual machine."""


@contextmanager
def podman_service() -> Iterator[str]:
    """Start Podman's service on a socket of its own; yield its address.

    Without root it is the user's own service at DOCKER_HOST, which has the base image `debian`:
    making that needs root (docs/containers.md).
    """
    own = os.environ.get("DOCKER_HOST", "")
    if os.geteuid() != 0 and own.endswith("podman.sock"):
        yield own
        return
    if shutil.which("podman") is None or os.geteuid() != 0:
        message = "these tests need Podman, catatonit, and root or a service at DOCKER_HOST"
        if os.environ.get("REQUIRE_PODMAN"):
            pytest.fail(message)
        pytest.skip(message)
    folder = Path(tempfile.mkdtemp(prefix="podman-", dir="/var/tmp"))
    (folder / "containers.conf").write_text(CONFIGURATION)
    address = f"unix://{folder}/podman.sock"
    command = ["podman", "--root", str(folder / "root"), "--runroot", str(folder / "run")]
    command += ["--tmpdir", str(folder / "tmp"), "system", "service", "--time", "0", address]
    environment = {**os.environ, "CONTAINERS_CONF": str(folder / "containers.conf")}
    environment["TMPDIR"] = str(folder)  # Podman 4.3.1 leaves each image that it loads in there
    with (folder / "log").open("wb") as log:
        service = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        _await(address, folder / "log")
        yield address
    finally:
        service.terminate()
        service.wait(timeout=60)
        subprocess.run(["umount", "--quiet", str(folder / "root/overlay")], check=False)
        shutil.rmtree(folder, ignore_errors=True)


def _await(address: str, log: Path) -> None:
    for _ in range(300):
        try:
            docker.DockerClient(base_url=address, version="auto").close()
        except docker.errors.DockerException:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"podman did not start: {log.read_text()[-2000:]}")
