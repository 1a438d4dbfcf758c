"""The `docker` runtime: a backend's supervisor as the main process of a long-running container.

A container gets what it needs and no more: our worker code and the models read-only, a memory file
system for what engines write, no network, no privileges. It has no restart policy, because a
restarted one would outlive its run, and is removed by the engine when its supervisor ends, which
the lease makes certain whatever else was killed.
"""

import contextlib
import json
import time
from collections.abc import Sequence
from typing import Any

import docker
from docker.errors import APIError, ImageNotFound, NotFound
from docker.models.containers import Container

from llm_energy.backends.container import HEALTH_COMMAND, SOCKET, run_options
from llm_energy.backends.execution import ExecTransport
from llm_energy.backends.runtime import (
    CHECK_CUDA,
    BackendError,
    BackendRecord,
    DeclaredBackend,
    Transport,
    read_environment,
    refuse_unusable_cuda,
)
from llm_energy.containers.engine import (
    LABEL,
    PODMAN,
    DockerError,
    check_sources,
    connect,
    docker_errors,
    engine_version,
    kind_of,
)
from llm_energy.containers.stream import start_attached
from llm_energy.runs.run import Run
from llm_energy.system.cache import environment_marker
from llm_energy.system.processes import ProcessId, pid_namespace
from llm_energy.system.vocabulary import DOCKER

RESTARTS = 2
"""Attempts to restart a container before it is recreated: the engine may refuse one."""

START_S = 60.0
"""Deadline for a container to run and its supervisor to listen; GPUs take the engine seconds."""

LISTENING = b"supervisor: listening"
"""Printed by a supervisor once it accepts connections."""

REMOVAL_S = 30.0
"""Deadline for a removal that the engine itself has begun, as it does when a supervisor ends."""

ENGINE_PATIENCE_S = 30.0
"""How long to wait for a Docker engine that does not answer: it may be restarting."""


class DockerRuntime:
    name = DOCKER

    def start(self, declared: DeclaredBackend, run: Run) -> BackendRecord:
        environment = read_environment(declared.environment_id)
        with engine() as client:
            try:
                with docker_errors():
                    version = engine_version(client)
                    options = run_options(declared, environment.python, run, kind=kind_of(client))
                    check_sources(options["mounts"])
                    container = client.containers.create(environment.image, **options)
            except DockerError as error:
                if isinstance(error.__cause__, ImageNotFound):
                    marker = environment_marker(declared.environment_id)
                    remedy = f"remove {marker} and start the same command again"
                    message = f"the image {environment.reference} is gone; {remedy}"
                    raise BackendError("environment_missing", message) from error
                raise BackendError("backend_refused", str(error)) from error
            started = time.monotonic()
            try:
                start_and_await(container, declared.name)
                count_gpus(container, environment.python, declared.container.gpus)
            except BaseException:
                with contextlib.suppress(DockerError), docker_errors():
                    container.remove(force=True)
                raise
            handle = {
                "container": container.id,
                "name": container.name,
                "python": environment.python,
                "start_s": time.monotonic() - started,
            }
        return BackendRecord(declared.name, self.name, declared.environment_id, handle, version)

    def connect(self, record: BackendRecord) -> Transport:
        command = [record.handle["python"], "-m", "worker.client", SOCKET]
        return self.execute(record, command)

    def execute(self, record: BackendRecord, command: Sequence[str]) -> Transport:
        return ExecTransport(open_engine(), record.handle["container"], command, record.name)

    def alive(self, record: BackendRecord) -> bool:
        with engine() as client:
            found = find(client, record)
            return found is not None and found.status == "running"

    def restart(self, record: BackendRecord) -> bool:
        """Restart the container; return whether its supervisor listens again."""
        with engine() as client:
            found = find(client, record)
            if found is None:
                return False
            for _ in range(RESTARTS):
                with contextlib.suppress(DockerError), docker_errors():
                    found.restart(timeout=1)
                    return listens(found, record)
            return False

    def stop(self, record: BackendRecord) -> None:
        with engine() as client:
            if (container := find(client, record)) is not None:
                remove(container)

    def sweep(self, run: Run) -> None:
        with engine() as client, docker_errors():
            for container in labelled(client, f"{LABEL}.run={run.run_id}"):
                remove(container)

    def reap(self) -> None:
        with engine() as client, docker_errors():
            for container in labelled(client, f"{LABEL}.namespace={pid_namespace()}"):
                owner = ProcessId.from_json(json.loads(container.labels[f"{LABEL}.owner"]))
                if not owner.alive():
                    remove(container)

    def check_cuda(self, record: BackendRecord) -> None:
        with engine() as client:
            found = find(client, record)
            if found is None:
                return  # reported by its event
            refuse_without_cuda(found, record.handle["python"])

    def hung(self, record: BackendRecord) -> bool:
        """Return whether the heartbeat of a supervisor in Podman is too old."""
        if not in_podman(record):
            return False  # Docker runs the health check; it is not even queried beside a window
        with engine() as client, docker_errors():
            found = find(client, record)
            if found is None or found.status != "running":
                return False  # reported by its event
            return bool(found.exec_run(["sh", "-c", HEALTH_COMMAND]).exit_code == 1)

    def processes(self, record: BackendRecord) -> set[int]:
        with engine() as client:
            found = find(client, record)
            if found is None:
                return set()
            try:
                with docker_errors():
                    # Podman's `pid` is that inside of the container.
                    listing = found.top(ps_args="hpid" if in_podman(record) else "-o pid")
            except DockerError:  # it has ended meanwhile
                return set()
        return {int(row[0]) for row in listing["Processes"]}


def open_engine() -> docker.DockerClient:
    """Connect to the Docker engine, which may be restarting."""
    deadline = time.monotonic() + ENGINE_PATIENCE_S
    while True:
        try:
            return connect()
        except DockerError as error:
            if time.monotonic() > deadline:
                raise BackendError("docker_unreachable", str(error)) from error
            time.sleep(0.5)


@contextlib.contextmanager
def engine() -> Any:
    """Connect to the engine for a block; its refusals inside the block become a BackendError."""
    client = open_engine()
    try:
        yield client
    except DockerError as error:
        raise BackendError("docker_refused", str(error)) from error
    finally:
        client.close()


def in_podman(record: BackendRecord) -> bool:
    """Return whether a container runs in Podman, by its record: the engine is not queried again."""
    return (record.container_engine or "").startswith(PODMAN)


def find(client: docker.DockerClient, record: BackendRecord) -> Container | None:
    """The container of a record; None once it is removed."""
    with docker_errors():
        try:
            return client.containers.get(record.handle["container"])
        except NotFound:
            return None


def labelled(client: docker.DockerClient, label: str) -> list[Container]:
    """Return the containers with a label; one that goes while they are listed is left out."""
    filters = {"label": label}
    found: list[Container] = client.containers.list(all=True, filters=filters, ignore_removed=True)
    return found


def remove(container: Container) -> None:
    """Kill and remove a container; it may be gone, or be going, already. Its name is free then."""
    with docker_errors(), contextlib.suppress(NotFound):
        try:
            container.remove(force=True, v=True)
        except APIError as error:
            if "already in progress" not in str(error):
                raise
            container.wait(condition="removed", timeout=REMOVAL_S)


def start_and_await(container: Container, backend: str) -> None:
    """Start the container; returns once its supervisor says that it listens."""
    deadline, printed = time.monotonic() + START_S, bytearray()
    try:
        with docker_errors():
            stream = start_attached(container)
    except DockerError as error:
        raise BackendError("backend_refused", f"backend `{backend}`: {error}") from error
    try:
        while LISTENING not in printed:
            frame = stream.receive(deadline)
            if frame is None:
                break
            printed += frame.content
        else:
            return
    except EOFError:
        pass
    finally:
        stream.close()
    message = f"the supervisor of backend `{backend}` did not start in its container"
    raise BackendError("backend_start_failed", message, log=printed.decode(errors="replace"))


def count_gpus(container: Container, python: str, gpus: str | int | tuple[str, ...] | None) -> None:
    """Check that a container got the GPUs that it was to get.

    Raises:
        BackendError: `cuda_unusable`.
    """
    if gpus is None:
        return
    expected = 1 if gpus == "all" else gpus if isinstance(gpus, int) else len(gpus)
    refuse_without_cuda(container, python, str(expected))


def refuse_without_cuda(container: Container, python: str, *arguments: str) -> None:
    """Raises BackendError(`cuda_unusable`) where a container cannot use CUDA."""
    with docker_errors():
        done = container.exec_run([python, *CHECK_CUDA, *arguments])
    refuse_unusable_cuda(done.exit_code, done.output, where=" in its container")


def listens(container: Container, record: BackendRecord) -> bool:
    """Wait until a client reaches the supervisor of a running container; return whether it did."""
    command = [record.handle["python"], "-m", "worker.client", SOCKET]
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if container.exec_run(command).exit_code == 0:
            return True
        time.sleep(0.2)
    return False
