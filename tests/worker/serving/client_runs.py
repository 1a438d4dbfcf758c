"""Requests that the client of servers sends to a stand-in."""

from typing import Any

from tests.worker.serving import stand_in
from tests.worker.serving.stand_in import StandIn

from worker.engines.base import Request
from worker.serving.dialect import IDS as IDS_FORM
from worker.serving.dialect import TOKEN_IDS, Dialect
from worker.serving.load import Client

IDS = Dialect(TOKEN_IDS)


def run(
    server: StandIn, dialect: Dialect, requests: list[Request], *, slots: int = 2, **changes: Any
) -> tuple[dict[int, list[list[int]]], Client]:
    """Return the ids of each chunk of each request, and the client."""
    client = Client(server.address, dialect, model="m", **{"stall_s": 30.0} | changes)
    if dialect.prompt != IDS_FORM:
        client.texts = {one.prompt: stand_in.letters(one.prompt) for one in requests}
    taken: dict[int, list[list[int]]] = {one.id: [] for one in requests}
    remaining = iter(requests)
    client.run(
        lambda: next(remaining, None), slots, lambda one, ids: taken[one.id].append(list(ids))
    )
    client.close()
    return taken, client
