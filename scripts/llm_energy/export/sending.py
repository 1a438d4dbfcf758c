"""A campaign sent to a server: what is missing there, never while this host measures."""

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from llm_energy.campaign.export_target import ExportTarget, export_target
from llm_energy.export.channels import Measured, measured
from llm_energy.export.line_protocol import tags
from llm_energy.export.servers import ExportError, Server
from llm_energy.results.result import ResultError
from llm_energy.system import locks
from llm_energy.system.numbers import plural


@dataclass(frozen=True)
class Sent:
    """An export that came to its end."""

    sent: int
    """Measurements that were written now."""
    before: int
    """Measurements that were there."""
    url: str

    def __str__(self) -> str:
        return f"{plural(self.sent, 'measurement')} sent to {self.url}, {self.before} there before"


@contextmanager
def opened(target: ExportTarget) -> Iterator[Server]:
    """Connect to a server for the length of the block.

    Raises:
        ExportError: it is not reached, or refuses.
    """
    server: Server
    if target.kind == "postgresql":
        from llm_energy.export.postgresql import PostgreSQL

        server = PostgreSQL(target)
    else:
        from llm_energy.export.line_servers import line_server

        server = line_server(target)
    try:
        yield server
    finally:
        server.close()


def send_campaign(results: Path, url: str) -> Sent:
    """Send every measurement of a results folder that the server does not have as a whole.

    An export that ended early is taken up again by the same call. Nothing is written while a
    measurement goes on on this host.

    Raises:
        ExportError: the server is not reached, or refuses.
    """
    target = export_target(url)
    sent, before = 0, 0
    try:
        found = list(measured(results))
    except ResultError as error:
        raise ExportError(f"{error}: nothing is sent; `verify` names every such result") from error
    if not found:
        raise ExportError(f"{results} holds no result: nothing is measured yet")
    with opened(target) as server:
        campaigns = {each.result.campaign for each in found}
        known = set[str]().union(*(server.sent(campaign) for campaign in campaigns))
        for each in _each_once(found):
            if tags(each.result_labels) in known:
                before += 1
                continue
            server.send(each, undisturbed)
            sent += 1
    return Sent(sent, before, target.url)


def _each_once(found: list[Measured]) -> Iterator[Measured]:
    """Yield measurements and forget them, so that one power series at a time is in memory."""
    found.reverse()
    while found:
        yield found.pop()


def undisturbed() -> AbstractContextManager[None]:
    """Make a block that begins when no measurement of this host goes on."""
    return locks.no_device(blocked=_announce)


def _announce(holder: str) -> None:
    print(f"Waiting for the measurement of {holder}", file=sys.stderr, flush=True)
