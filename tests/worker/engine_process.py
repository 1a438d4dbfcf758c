"""The engine process of a running supervisor, as tests look at it."""

from typing import Any

from tests.waiting import wait_until
from tests.worker.backend import Backend, Peer, group_members

from worker.protocol import PROTOCOL

Fields = dict[str, Any]


def engine_is_gone(pid: int) -> None:
    wait_until(lambda: not group_members(pid), what="the engine's process group is gone")


def supervisor_has_no_engine(peer: Peer) -> None:
    """The kernel shows a process as ended before the supervisor has reaped it."""
    wait_until(
        lambda: peer.ask("hello", protocol=PROTOCOL)["engine"] is None,
        what="the supervisor knows that its engine is gone",
    )


def child_of_engine(backend: Backend) -> int:
    """The process that the engine says it has started."""
    (log,) = backend.logs.glob("*.engine.log")
    (child,) = [int(line.split()[-1]) for line in log.read_text().splitlines() if "child" in line]
    return child


def faulty(engine: Fields, **options: Any) -> Fields:
    return {**engine, "options": options}
