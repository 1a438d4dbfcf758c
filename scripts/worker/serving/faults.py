"""Failures of a server, each with its reason code and the server's own words."""

from worker.engines.base import EngineError

REFUSED = "server_refused"
OVERLOADED = "server_overloaded"
FAILED = "server_failed"
CLOSED = "server_closed"
INVALID = "server_invalid"
STALLED = "server_stalled"
MISCOUNTED = "server_miscounted"
ENDED = "server_ended"
NOT_STARTED = "server_not_started"
UNFIT = "server_unfit"

PASSING = frozenset({OVERLOADED, FAILED, CLOSED, STALLED, ENDED})
"""Reasons that may be gone at another try."""

TOO_MANY_REQUESTS, UNAVAILABLE = 429, 503

MOST_WORDS = 500
"""Characters of a server's answer that a message repeats."""


class ServerError(EngineError):
    """A server that did not do what was requested of it."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def reason_of_status(status: int) -> str:
    """Return the reason code of an HTTP status that is no success."""
    if status in (TOO_MANY_REQUESTS, UNAVAILABLE):
        return OVERLOADED
    return FAILED if status >= 500 else REFUSED


def unfit(error: EngineError) -> EngineError:
    """Return the error of a load: `UNFIT` where every other load would end in the same way."""
    if isinstance(error, ServerError) and error.reason in PASSING:
        return error
    return ServerError(UNFIT, str(error))


def shortened(words: str) -> str:
    """Return a server's words on one line, cut where they are long."""
    line = " ".join(words.split())
    return line if len(line) <= MOST_WORDS else f"{line[:MOST_WORDS]}..."
