"""The Docker engine's events about the containers of a run."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from llm_energy.containers.engine import LABEL, DockerError, connect, docker_errors


@dataclass(frozen=True)
class ContainerEvent:
    """Something that happened to the container of a backend."""

    backend: str
    kind: str
    """`dead`, `unhealthy` or `out_of_memory` (a process in it was killed for its limit)."""
    reason: str


def container_events(run_id: str) -> Iterator[ContainerEvent]:
    """Yield the events of a run's containers, from now until the engine ends the stream."""
    filters = {"type": "container", "label": f"{LABEL}.run={run_id}"}
    try:
        with closing(connect()) as client, docker_errors():
            client.api.timeout = None  # silence is the usual state
            for message in client.events(decode=True, filters=filters):
                if (event := read_event(message)) is not None:
                    yield event
    except DockerError:
        return


def read_event(message: dict[str, Any]) -> ContainerEvent | None:
    """Parse one message of the engine's event stream; None if it needs no action.

    Source: Docker Engine API, "Monitor events", object type container. Podman (4.3.1)
    sends `die` too, and nothing for a memory limit.
    """
    attributes = message.get("Actor", {}).get("Attributes", {})
    backend = attributes.get(f"{LABEL}.backend")
    if backend is None:
        return None
    match message.get("Action"):
        case "die":
            code = attributes.get("exitCode", "unknown")
            return ContainerEvent(backend, "dead", f"its container ended with exit code {code}")
        case "oom":
            return ContainerEvent(backend, "out_of_memory", "its memory limit was reached")
        case "health_status: unhealthy":
            return ContainerEvent(backend, "unhealthy", "its HEALTHCHECK failed")
    return None
