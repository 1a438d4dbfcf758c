"""The language between host, supervisor and engine process: one JSON object a line, both ways.

The host sends requests, one at a time on a connection. Each is answered by events, the last of
which has `"final": true`; a failure is the event `error` with a reason code. PROTOCOL is raised
when messages change, and with them whenever what is measured changes.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from worker.records import RecordError, read_record
from worker.workload import EngineConfig, Workload

PROTOCOL = 2

MAX_LINE_BYTES = 256 * 1024 * 1024
"""Longest line: token times of 10^7 output tokens fit, a runaway peer does not fill the memory."""

DEADLINE_EXCEEDED = "deadline_exceeded"
ENGINE_DIED = "engine_died"
OUT_OF_MEMORY = "out_of_memory"
ENGINE_ERROR = "engine_error"
BAD_REQUEST = "bad_request"
NO_ENGINE = "no_engine"
PROTOCOL_MISMATCH = "protocol_mismatch"
CONTEXT_EXCEEDED = "context_exceeded"
STOPPING = "stopping"

Event = dict[str, Any]


class ProtocolError(ValueError):
    """A line that is not a message of this protocol; the message says what is wrong with it."""


@dataclass(frozen=True)
class Hello:
    """Ask for the supervisor's state; answered at once, also while an engine works."""

    protocol: int
    deadline_s: float = 10.0


@dataclass(frozen=True)
class Load:
    """Load this engine: keep the present one if it has the same key, else replace it."""

    deadline_s: float
    key: str
    engine: EngineConfig


@dataclass(frozen=True)
class Measure:
    """Warm up, run the window and the tail."""

    deadline_s: float
    workload: Workload


@dataclass(frozen=True)
class Steady:
    """The host's verdict on power, sent while a measurement runs; not answered."""

    value: bool


@dataclass(frozen=True)
class Unload:
    """End the engine process."""

    deadline_s: float = 30.0


@dataclass(frozen=True)
class Stop:
    """End the engine process and the supervisor."""

    deadline_s: float = 30.0


Request = Hello | Load | Measure | Steady | Unload | Stop

OPERATIONS: Mapping[str, type[Request]] = {
    "hello": Hello,
    "load": Load,
    "measure": Measure,
    "steady": Steady,
    "unload": Unload,
    "stop": Stop,
}


def encode(message: Mapping[str, Any]) -> bytes:
    """Return one line, with its end. NaN and infinity are refused: they are no JSON."""
    return json.dumps(message, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def decode(line: bytes) -> dict[str, Any]:
    """Return the message of one line.

    Raises:
        ProtocolError: not one JSON object.
    """
    try:
        message = json.loads(line, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"not JSON: {error}") from error
    if not isinstance(message, dict):
        raise ProtocolError("not a JSON object")
    return message


def parse_request(line: bytes) -> Request:
    """Return the request of one line.

    Raises:
        ProtocolError: with the place of what is wrong, such as `load.engine.slots: missing`.
    """
    message = decode(line)
    op = message.pop("op", None)
    if not isinstance(op, str) or op not in OPERATIONS:
        raise ProtocolError(f"op: must be one of {', '.join(OPERATIONS)}, not {op!r:.40}")
    try:
        return read_record(OPERATIONS[op], message, op)
    except RecordError as error:
        raise ProtocolError(str(error)) from error


def error_event(
    reason: str, message: str, *, phase: str | None = None, log_tail: tuple[str, ...] = ()
) -> Event:
    """Return the final event of a request that failed.

    Args:
        reason: one of the reason codes above.
        phase: the phase in which it failed: the op, or `first_wave`, `warmup`, `window`, `tail`.
        log_tail: the engine's last lines, where it has to do with the failure.
    """
    return {
        "event": "error",
        "final": True,
        "reason": reason,
        "phase": phase,
        "message": message,
        "log_tail": list(log_tail),
    }


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
