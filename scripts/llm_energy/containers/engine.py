"""The container engine of this host, Docker or Podman: connections, errors in one line, what a
container may have. Podman answers Docker's API on a socket of its own."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, DockerException
from docker.types import DeviceRequest, Mount
from requests.exceptions import RequestException

DEFAULT_HOST = "unix:///var/run/docker.sock"

ANSWER_S = 60.0
"""How long one call to the engine may take; streams have deadlines of their own."""

PING_S = 10.0
"""Deadline of the first call: an engine that hangs is reported soon."""

LABEL = "org.llm-energy"
"""Begins the name of every label that this workflow gives to containers and images."""

REMEDIES = (
    (
        r"could not select device driver",
        "the NVIDIA container toolkit is not set up for this Docker engine; install "
        "nvidia-container-toolkit, run `nvidia-ctk runtime configure --runtime=docker`, and "
        "restart the engine",
    ),
    (r"bind source path does not exist: (\S+)", r"the host has no \1, which is to be mounted"),
    (
        r"container-init binary not found",
        "Podman needs the program catatonit; install the package catatonit",
    ),
    (
        r"unresolvable CDI devices",
        "Podman has no description of the GPUs; install nvidia-container-toolkit and run "
        "`sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml`",
    ),
    (r"no space left on device", "no space left on the disk of the Docker engine"),
    (r"Cannot connect|Connection refused|FileNotFoundError|Connection aborted", ""),
)
"""Pattern in an error of the engine -> message for the user; empty: it does not answer."""

PODMAN = "Podman"

CDI_GPU = "nvidia.com/gpu"
"""Kind of NVIDIA's GPUs in the Container Device Interface; `nvidia-ctk cdi generate` names the
devices by number and UUID, and adds `all`."""


class DockerError(Exception):
    """The engine cannot be reached, or refused; the message is one line with a remedy."""


def host() -> str:
    """Address of the engine, as Docker's own tools take it."""
    return os.environ.get("DOCKER_HOST") or DEFAULT_HOST


def connect() -> docker.DockerClient:
    """A connection to the engine; the caller closes it.

    Raises:
        DockerError: it does not answer, this user may not ask it, or it is another machine's:
            containers share a clock, files and GPUs with the workflow.
    """
    address = host()
    if not address.startswith("unix://"):
        raise DockerError(
            f"DOCKER_HOST {address}: only an engine of this host can measure here; "
            "give its socket, such as unix:///var/run/docker.sock"
        )
    with docker_errors():
        # `auto` asks for the engine's version: an engine that is not there fails here.
        client = docker.DockerClient(base_url=address, timeout=PING_S, version="auto")
        client.api.timeout = ANSWER_S
    return client


def engine_version(client: docker.DockerClient) -> str:
    """Return name and version of the engine, such as `Docker 27.5.1` or `Podman 4.3.1`.

    Source: the components of Docker's `GET /version`; Podman lists itself as `Podman Engine`.
    """
    version = client.version()
    for component in version.get("Components") or []:
        if component["Name"] == f"{PODMAN} Engine":
            return f"{PODMAN} {component['Version']}"
    return f"Docker {version['Version']}"


@dataclass(frozen=True)
class EngineKind:
    """The differences between engines that the options of a container depend on."""

    podman: bool
    """Podman answers Docker's API."""
    rootless: bool
    """The engine runs as this user, who is root inside its containers."""


def kind_of(client: docker.DockerClient) -> EngineKind:
    """Return the kind of the engine behind a connection."""
    podman = engine_version(client).startswith(PODMAN)
    return EngineKind(podman=podman, rootless=rootless(client.info()))


def rootless(info: Mapping[str, Any]) -> bool:
    """Return whether an engine runs without root, by its answer to `GET /info`.

    Docker names it among its security options; Podman 4.3 does not, and has a field of its own.
    """
    options = info.get("SecurityOptions") or []
    return bool(info.get("Rootless")) or any("name=rootless" in option for option in options)


@contextmanager
def docker_errors() -> Iterator[None]:
    """Turn refusals and time-outs of the engine inside the block into a DockerError of one line."""
    try:
        yield
    except (DockerException, RequestException, OSError) as error:
        raise DockerError(in_one_line(error)) from error


def in_one_line(error: Exception) -> str:
    """Return the meaning of an error of docker-py."""
    message = str(error.explanation or error) if isinstance(error, APIError) else str(error)
    message = " ".join(message.split())
    socket = host().removeprefix("unix://")
    # An engine that refuses a connection does not give its name, but its socket shows it.
    podman = socket.endswith("podman.sock")
    engine = PODMAN if podman else "the Docker engine"
    if "PermissionError" in message or "Permission denied" in message:
        remedy = "start this user's own (systemctl --user start podman.socket)"
        remedy = remedy if podman else "join the group docker"
        return f"this user may not use {engine} at {socket}; {remedy}"
    for pattern, remedy in REMEDIES:
        found = re.search(pattern, message)
        if found and remedy:
            return found.expand(remedy)
        if found:
            return f"{engine} does not answer at {socket}; start it, or set DOCKER_HOST"
    return f"{engine} refused: {message}"


def confined(
    *, user: str | None = None, rootless: bool, environment: Mapping[str, str | None]
) -> dict[str, Any]:
    """Options of `containers.create` by which it has no network and no privileges.

    Args:
        user: `UID` or `UID:GID`; None: who runs the workflow.
        rootless: the engine runs without root. The root of its containers, without any of root's
            capabilities, is then the user of this host; any other id is one of the user's
            subordinate ids, which may not read the user's files.
        environment: variables beside a home that can be written and a name, which the user may
            not have in the image.
    """
    return {
        "network_mode": "none",
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "user": user or ("0:0" if rootless else f"{os.getuid()}:{os.getgid()}"),
        "environment": {"HOME": "/tmp", "USER": "llm-energy", **environment},
    }


def read_only(path: Path, *, target: str | None = None) -> Mount:
    """Mount a file or folder of the host, read-only and under its own path.

    Of a link that is what it points to: inside a container the rest of its way is missing, as of
    the files of a Hugging Face cache, which are links to `../../blobs`.
    """
    return Mount(target or str(path), str(path.resolve()), type="bind", read_only=True)


def check_sources(mounts: Iterable[Mount]) -> None:
    """Check that what is to be mounted exists: Podman would make an empty folder of that name.

    Raises:
        DockerError: it does not.
    """
    for mount in mounts:
        if not Path(mount["Source"]).exists():
            raise DockerError(f"the host has no {mount['Source']}, which is to be mounted")


def gpu_options(gpus: str | int | tuple[str, ...] | None, *, podman: bool) -> dict[str, Any]:
    """Options of `containers.create` for `all`, a number, or UUIDs of GPUs; none for None.

    Podman ignores Docker's requests for GPUs without an error. From version 5.4 on it takes
    requests with the driver `cdi` (containers/podman#25171).
    """
    if gpus is None:
        return {}
    if podman:
        names = gpus if isinstance(gpus, tuple) else ("all",)
        if isinstance(gpus, int):
            names = tuple(str(number) for number in range(gpus))
        devices = [f"{CDI_GPU}={name}" for name in names]
        return {"device_requests": [DeviceRequest(driver="cdi", device_ids=devices)]}
    if isinstance(gpus, tuple):
        return {"device_requests": [DeviceRequest(device_ids=list(gpus), capabilities=[["gpu"]])]}
    count = -1 if gpus == "all" else int(gpus)
    return {"device_requests": [DeviceRequest(count=count, capabilities=[["gpu"]])]}
