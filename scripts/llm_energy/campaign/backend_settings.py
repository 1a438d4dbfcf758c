"""How a campaign declares a backend: its runtime, environment, base image and container."""

from typing import Annotated, Literal

from pydantic import Field

from llm_energy.campaign.server_settings import Attach, Launch
from llm_energy.campaign.types import (
    Alternatives,
    BaseImage,
    ContainerName,
    Count,
    EnvironmentVariable,
    Filled,
    Memory,
    Model,
    PinnedImage,
    Sha256,
    Text,
)
from llm_energy.system.vocabulary import DOCKER, PROCESS, Runtime


class Interpreter(Model):
    """An environment of yours that holds the engine already."""

    python: Text
    """Path of its Python interpreter. It is no part of the environment's identity."""
    packages_sha256: Sha256 | None = None
    """Checksum of its installed packages; without it the `lock` target pins it."""


class Image(Model):
    """An image that holds the engine already; pulled if this host does not have it."""

    image: PinnedImage
    """`NAME@sha256:...`, or the id `sha256:...` of an image of this host."""
    python: Text = "python3"
    """Its Python interpreter that has the engine."""


class RunningContainer(Model):
    """A container that runs already, as the target `compose` describes it; it is never started,
    stopped or changed."""

    container: ContainerName
    """Its name."""
    image: PinnedImage | None = None
    """Its image, where that is one of yours, as in `{image: ...}`. Default: made from
    envs/{backend}."""
    python: Text = "python3"
    """The Python interpreter of an image of yours that has the engine."""


Gpus = Annotated[
    Literal["all"] | Count | Annotated[list[Text], Field(min_length=1)],
    Alternatives(
        *("all", (int, float), list), message="must be `all`, a number, or a list of UUIDs"
    ),
]


Ulimit = Literal[
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
]
"""Limits that the Docker engine knows."""


class Container(Model):
    """Resources of the host for a backend's container. Runtime `docker` only."""

    gpus: Gpus | None = None
    """`all`, a number, or a list of UUIDs. GPU: all."""
    cpus: Annotated[float, Field(ge=0.01, le=100_000)] | None = None
    """Most CPU time that it gets, in cores."""
    memory: Memory | None = None
    """Most memory that it gets, such as `8g`; an engine that needs more ends as out of memory."""
    shm_size: Memory = "1g"
    """Size of /dev/shm, which engine processes share tensors through."""
    ulimits: dict[Ulimit, Annotated[int, Field(ge=-1, le=2**53)]] = Field(default_factory=dict)
    """Limits by name, soft and hard at once, such as `memlock: -1`."""
    environment: dict[EnvironmentVariable, str] = Field(default_factory=dict)
    """Environment variables for the engine. They are part of what is measured: no secrets."""
    user: Text | None = None
    """`UID` or `UID:GID` that it runs as. Default: your own."""
    read_only: bool = True
    """`true`: its root file system cannot be written; /tmp and its home always can."""


NO_SERVER = "needs the key command or the key url"


class BackendConfig(Model):
    """Runtime and environment of a backend."""

    runtime: Runtime = PROCESS
    """`process`: a process of this machine in an environment of its own; `docker`: a container."""
    environment: Annotated[
        Literal["managed"] | Interpreter | Image | RunningContainer,
        Alternatives(object, dict, "image", "container"),
    ] = "managed"
    """`managed`: made from envs/{backend}; or an interpreter of yours, `{python: PATH}`, or an
    image, `{image: NAME@sha256:...}`; or a container that runs already, `{container: NAME}`:
    docs/containers.md."""
    base: BaseImage | None = None
    """Image that a managed container is built on: `debian`, which is made on this machine from
    Debian's packages, or an image by exact tag or digest; else the one that its Dockerfile names.
    """
    container: Container = Field(default_factory=Container)
    """Resources of the host for its container."""
    server: Annotated[
        Annotated[Launch | Attach, Alternatives("command", "url", message=NO_SERVER)] | None,
        Filled(NO_SERVER),
    ] = None
    """A server of OpenAI's completions API as the engine, launched or attached. Default: the
    adapter of this name, or the server that envs/{backend} declares."""

    pass_variables: list[EnvironmentVariable] = Field(default_factory=list)
    """Names of environment variables of yours with secrets, such as `LICENSE_KEY`, that the engine
    gets: no other secret reaches it. Their values are stored nowhere."""

    @property
    def attached(self) -> str | None:
        """Name of the container that runs already; None where a run starts one."""
        own = self.environment
        return own.container if isinstance(own, RunningContainer) else None

    @property
    def runs_already(self) -> bool:
        """True where no run starts its engine's container or server."""
        return self.attached is not None or isinstance(self.server, Attach)

    @property
    def own_image(self) -> Image | None:
        """The user's image; None where there is none."""
        match self.environment:
            case Image() as own:
                return own
            case RunningContainer(image=str(image), python=python):
                return Image(image=image, python=python)
        return None

    @property
    def managed(self) -> bool:
        """True where its environment is made from envs/{backend}."""
        return not isinstance(self.environment, Interpreter) and self.own_image is None

    @property
    def in_container(self) -> bool:
        return self.runtime == DOCKER
