"""A conversation with a supervisor: requests out, events in, a deadline on every answer."""

import contextlib
import json
import time
from collections.abc import Callable

from llm_energy.backends.runtime import BackendError, Transport
from worker.protocol import OPERATIONS, PROTOCOL, Event, Hello, Load, Measure, Request, Unload

GRACE_S = 15.0
"""The supervisor enforces a deadline itself; only if it is silent this much longer is it lost."""

OPERATION = {kind: name for name, kind in OPERATIONS.items()}


class EngineReportedError(BackendError):
    """The supervisor answered that the request failed."""


class Session:
    """One connection to one supervisor, used by one measurement.

    Closing it while a request is under way makes the supervisor kill its engine.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.peer = self.request(Hello(PROTOCOL, deadline_s=5.0))

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(BackendError):
            self._transport.close()

    def request(
        self,
        request: Hello | Load | Measure | Unload,
        on_event: Callable[[Event], None] = lambda _: None,
    ) -> Event:
        """Send one request and return its final event; the others go to `on_event`.

        Raises:
            EngineReportedError: the supervisor reported a failure, with its reason code.
            BackendError: `backend_lost` or `backend_silent` (no answer past the deadline).
        """
        op, patience_s = OPERATION[type(request)], request.deadline_s + GRACE_S
        self.send(request)
        deadline = time.monotonic() + patience_s
        while True:
            line = self._transport.receive(max(0.0, deadline - time.monotonic()))
            if line is None:
                message = f"no answer to `{op}` within {patience_s:.0f} s"
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

    def send(self, request: Request) -> None:
        """Send only: `Steady` has no answer, and comes from the `on_event` of another request."""
        message = {"op": OPERATION[type(request)], **vars(request)}
        self._transport.send(json.dumps(message, default=vars).encode())
