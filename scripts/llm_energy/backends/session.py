"""A conversation with a supervisor: requests out, events in, a deadline on every answer."""

import contextlib
import json
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from llm_energy.backends.runtime import BackendError, Transport
from worker.protocol import PROTOCOL

GRACE_S = 15.0
"""The supervisor enforces a deadline itself; only if it is silent this much longer is it lost."""

Event = dict[str, Any]


class EngineReportedError(BackendError):
    """The supervisor answered that the request failed."""


class Session:
    """One connection to one supervisor, used by one measurement.

    Closing it while a request is under way makes the supervisor kill its engine.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.peer = self.request("hello", deadline_s=5.0, protocol=PROTOCOL)

    def __enter__(self) -> "Session":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(BackendError):
            self._transport.close()

    def request(
        self,
        op: str,
        *,
        deadline_s: float,
        on_event: Callable[[Event], None] = lambda _: None,
        **fields: Any,
    ) -> Event:
        """Send one request and return its final event; the others go to `on_event`.

        Raises:
            EngineReportedError: the supervisor reported a failure, with its reason code.
            BackendError: `backend_lost` or `backend_silent` (no answer past the deadline).
        """
        request: Mapping[str, Any] = {"op": op, "deadline_s": deadline_s, **fields}
        self._transport.send(json.dumps(request).encode())
        deadline = time.monotonic() + deadline_s + GRACE_S
        while True:
            line = self._transport.receive(max(0.0, deadline - time.monotonic()))
            if line is None:
                message = f"no answer to `{op}` within {deadline_s + GRACE_S:.0f} s"
                raise BackendError("backend_silent", message, phase=op)
            event: Event = json.loads(line)
            if event["event"] == "error":
                raise EngineReportedError(
                    event["reason"],
                    event["message"],
                    phase=event.get("phase") or op,
                    log="\n".join(event.get("log_tail", [])),
                )
            if event.get("final"):
                return event
            on_event(event)

    def tell(self, op: str, **fields: Any) -> None:
        """Send what has no answer, from the `on_event` of a request that is under way."""
        self._transport.send(json.dumps({"op": op, **fields}).encode())
