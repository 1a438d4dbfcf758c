"""Questions to what may be slow or silent (Docker, NVML, the hub), asked at once, not for long."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

DEADLINE_S = 10.0
"""After this time no answer is an answer too: preflight is for people who wait."""

LOG = logging.getLogger(__name__)


class RefusalError(Exception):
    """An answer that people can read as it is: why something is not to be had."""


class SilentError(RefusalError):
    """No answer in time."""


def ask_all(
    questions: Mapping[str, Callable[[], Any]], *, deadline_s: float = DEADLINE_S
) -> dict[str, Any]:
    """The answer to each question: what it returned, or the exception that it raised.

    A question that is still open at the deadline is left to its daemon thread, which ends with
    the process, and its answer is a SilentError.
    """
    answers: dict[str, Any] = {}

    def ask(name: str, question: Callable[[], Any]) -> None:
        try:
            answer = question()
        except RefusalError as error:
            answer = error
        except Exception as error:
            LOG.warning("%s", name, exc_info=True)
            answer = error
        answers[name] = answer

    threads = [
        threading.Thread(target=ask, args=asked, name=asked[0], daemon=True)
        for asked in questions.items()
    ]
    end = time.monotonic() + deadline_s
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    silent = SilentError(f"no answer within {deadline_s:g} s")
    return {name: answers.get(name, silent) for name in questions}


def reason(error: Exception) -> str:
    """An exception in words, for the finding that something is unknown."""
    return str(error) if isinstance(error, RefusalError) else f"{type(error).__name__}: {error}"
