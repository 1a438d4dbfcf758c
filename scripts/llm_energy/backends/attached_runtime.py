"""The `attached` runtime: a backend in a container that its user started and keeps.

It is measured in only where it is what a run would start: same image, command, limits and mounts,
and a supervisor that runs this folder's code. It is never started, stopped, restarted or removed.
"""

import os
from hashlib import sha256

import docker
from docker.errors import NotFound
from docker.models.containers import Container

from llm_energy.backends.container import container_options
from llm_energy.backends.container_differences import differences
from llm_energy.backends.docker_runtime import DockerRuntime, count_gpus, engine
from llm_energy.backends.runtime import (
    SCRIPTS,
    BackendError,
    BackendRecord,
    DeclaredBackend,
    read_environment,
)
from llm_energy.backends.session import Session
from llm_energy.containers.engine import (
    LABEL,
    docker_errors,
    engine_version,
    host,
    kind_of,
)
from llm_energy.results.layout import COMPOSE_FILE
from llm_energy.runs.run import Run
from llm_energy.system import locks
from llm_energy.system.cache import environment_marker
from llm_energy.system.vocabulary import ATTACHED
from worker.code_digest import digest_of
from worker.protocol import Unload


class AttachedRuntime(DockerRuntime):
    name = ATTACHED

    def start(self, declared: DeclaredBackend, run: Run) -> BackendRecord:
        """Find the container, check it, and leave it without an engine of an earlier run."""
        record = self.checked(declared, campaign=run.record.campaign)
        with Session(self.connect(record)) as session:
            if session.peer["engine"] is not None:
                session.request(Unload())
        return record

    def checked(self, declared: DeclaredBackend, *, campaign: str) -> BackendRecord:
        """Return the record of a container that can be measured in.

        Raises:
            BackendError: `backend_start_failed`: it does not run, or has no supervisor that
                answers; `backend_refused`: it is another one than the campaign describes.
        """
        path = f"results/{campaign}/{COMPOSE_FILE}"
        with engine() as client, docker_errors():
            container, version = running_container(client, declared, path), engine_version(client)
            if not environment_marker(declared.environment_id).exists():
                raise refused(declared, f"cannot have its image, which is not made; {make(path)}")
            environment = read_environment(declared.environment_id)
            options = container_options(
                declared, environment.python, campaign=campaign, kind=kind_of(client)
            )
            image = client.images.get(container.attrs["Image"]).attrs
            found = differences(container.attrs, image, options, image_id=str(environment.image))
            if found:
                raise refused(declared, f"is not the campaign's: {found[0]}; {make(path)}")
            handle = {
                "container": container.id,
                "name": container.name,
                "python": environment.python,
                "start_s": 0.0,
            }
            record = BackendRecord(
                declared.name, self.name, declared.environment_id, handle, version
            )
            self._check_supervisor(declared, record)
            count_gpus(container, environment.python, declared.container.gpus)
        return record

    def _check_supervisor(self, declared: DeclaredBackend, record: BackendRecord) -> None:
        restart = f"restart it: docker restart {declared.attached}"
        try:
            with Session(self.connect(record)) as session:
                code = session.peer.get("code")
        except BackendError as error:
            reason = "backend_start_failed" if error.reason == "backend_lost" else error.reason
            raise refused(declared, f"has no supervisor that answers; {restart}", reason) from error
        if code != digest_of(SCRIPTS / "worker"):
            raise refused(declared, f"runs other code than this folder has; {restart}")

    def restart(self, record: BackendRecord) -> bool:  # noqa: ARG002
        return False

    def stop(self, record: BackendRecord) -> None:
        """Do nothing: the supervisor ends an engine that has no connection any more."""


def refused(
    declared: DeclaredBackend, problem: str, reason: str = "backend_refused"
) -> BackendError:
    """Return the error about a container, with its place in the campaign's file."""
    key = f"backends.{declared.name}.environment.container"
    return BackendError(reason, f"{key}: the container {declared.attached} {problem}")


def running_container(
    client: docker.DockerClient, declared: DeclaredBackend, path: str
) -> Container:
    """Return the container of a backend, which runs and is no run's own.

    Raises:
        BackendError: there is none.
    """
    try:
        container = client.containers.get(declared.attached)
    except NotFound as error:
        problem = f"does not exist; {make(path)}"
        raise refused(declared, problem, "backend_start_failed") from error
    if f"{LABEL}.run" in container.labels:
        raise refused(declared, "belongs to a run, and ends with it; name one of your own")
    if container.status != "running":
        problem = f"does not run ({container.status}); {up(path)}"
        raise refused(declared, problem, "backend_start_failed")
    return container


def make(path: str) -> str:
    """Return the commands that make the containers of a campaign anew."""
    return f"write {path} with the target `compose`, then {up(path)}"


def up(path: str) -> str:
    """Return the command that starts the containers of a Compose file."""
    return f"docker compose -f {path} up -d"


def hold_container(name: str) -> int:
    """Hold a container for one run of this host, until the returned descriptor is closed.

    Raises:
        HeldError: another run holds it.
    """
    socket = os.path.realpath(host().removeprefix("unix://"))
    return locks.hold_for_run(sha256(f"{socket}\0{name}".encode()).hexdigest()[:16])
