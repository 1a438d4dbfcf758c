"""One command in a container of its own that is gone afterwards."""

import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from subprocess import CompletedProcess

from docker.errors import APIError
from docker.types import Mount

from llm_energy.containers.engine import (
    LABEL,
    DockerError,
    check_sources,
    confined,
    connect,
    docker_errors,
    gpu_options,
    kind_of,
    read_only,
)
from llm_energy.containers.stream import STDERR, STDOUT, Stream, start_attached

ONCE = f"{LABEL}.once"
"""Label of such containers."""

LEFTOVER_AGE = "3h"
"""Age from which one that has ended was left over by a job that was killed: longer than any."""


def run_once(
    image: str,
    command: Sequence[str],
    *,
    deadline_s: float,
    stdin: bytes = b"",
    readable: Sequence[Path] = (),
    writable: Sequence[Path] = (),
    environment: Mapping[str, str] | None = None,
    gpus: bool = False,
) -> CompletedProcess[bytes]:
    """Run `command` in a new container of `image`, without network and as this user.

    Args:
        readable, writable: files and folders of the host that it sees, under their own paths.
        gpus: whether it gets the GPUs of the host.

    Raises:
        DockerError: the engine refused, or the command took longer than `deadline_s`.
    """
    deadline = time.monotonic() + deadline_s
    mounts = [read_only(path) for path in readable]
    mounts += [Mount(str(p), str(p), type="bind") for p in writable]
    check_sources(mounts)
    with closing(connect()) as client:
        with docker_errors():
            with suppress(APIError):  # the engine does it for one client at a time
                client.containers.prune(filters={"label": ONCE, "until": LEFTOVER_AGE})
            kind = kind_of(client)
            container = client.containers.create(
                image,
                entrypoint=list(command),
                stdin_open=True,
                mounts=mounts,
                labels={ONCE: "true"},
                **gpu_options("all" if gpus else None, podman=kind.podman),
                **confined(rootless=kind.rootless, environment=environment or {}),
            )
        try:
            with docker_errors():
                stream = start_attached(container, stdin=True)
            with suppress(OSError):  # it may not want what it is given
                stream.send(stdin)
            stream.end_input()
            output = _read_all(stream, deadline)
            with docker_errors():
                code = container.wait(timeout=30)["StatusCode"]
        finally:
            with suppress(DockerError), docker_errors():
                container.remove(force=True)
    return CompletedProcess(command, code, output[STDOUT], output[STDERR])


def _read_all(stream: Stream, deadline: float) -> dict[int, bytes]:
    output = {STDOUT: bytearray(), STDERR: bytearray()}
    try:
        while (frame := stream.receive(deadline)) is not None:
            output[frame.stream] += frame.content
    except EOFError:
        return {number: bytes(content) for number, content in output.items()}
    finally:
        stream.close()
    raise DockerError("the command in the container did not end in time")
