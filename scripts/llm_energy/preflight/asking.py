"""Ask what may be slow or silent (Docker, NVML, the hub), all at once and with one deadline."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

DEADLINE_S = 10.0
"""Preflight is for people who wait: a question without an answer by then is reported as silent."""

LOG = logging.getLogger(__name__)


class RefusalError(Exception):
    """An answer that users can read as it is: the reason why something is not available."""


class SilentError(RefusalError):
    """No answer in time."""


def ask_all(
    questions: Mapping[str, Callable[[], Any]], *, deadline_s: float = DEADLINE_S
) -> dict[str, Any]:
    """Return for each question what it returned, or the exception that it raised.

    A question that is still open at the deadline is left to its daemon thread, which ends with
    the process, and its answer is a SilentError.
    """
    answers: dict[str, Any] = {}

    def ask(name: str, question: Callable[[], Any]) -> None:
        try:
            answers[name] = question()
        except Exception as error:
            # To the log of a rule's script; at the start of a run, which has none, to nowhere: the
            # console gets the line that whoever asks makes of the answer.
            if not isinstance(error, RefusalError):
                LOG.info("%s", name, exc_info=True)
            answers[name] = error

    threads = [threading.Thread(target=ask, args=q, daemon=True) for q in questions.items()]
    for thread in threads:
        thread.start()
    end = time.monotonic() + deadline_s
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    silent = SilentError(f"no answer within {deadline_s:g} s")
    return {name: answers.get(name, silent) for name in questions}


def reason(error: Exception) -> str:
    """Describe an exception for a finding with status `unknown`."""
    return str(error) if isinstance(error, RefusalError) else f"{type(error).__name__}: {error}"
