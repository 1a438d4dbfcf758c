"""Failure records: one file for each failed attempt, kept when a later attempt succeeds."""

import json
from itertools import count
from pathlib import Path
from typing import Any

from llm_energy.results.layout import failure_path
from llm_energy.system.files import DamagedError, read_object, write_atomically

RETRIED = frozenset(
    {
        "backend_lost",
        "backend_silent",
        "backend_start_failed",
        "device_occupied",
        "docker_refused",
        "docker_unreachable",
        "stopping",
    }
)
"""Reasons that lie in the infrastructure, not in what was measured: worth another attempt. All
others would fail again, or would choose among measured values. `stopping` is the answer of a
supervisor that somebody else than its run ended or restarted."""

BACKOFF_S = (1.0, 10.0)
"""Waiting time before the second and the third attempt."""


def next_attempt(results: Path, result_path: str) -> int:
    """The next free attempt number, from 1."""
    free = (n for n in count(1) if not (results / failure_path(result_path, n)).exists())
    return next(free)


def last_failure(results: Path, result_path: str) -> tuple[int, Path] | None:
    """Number and record of the last failed attempt; None where none failed."""
    last = next_attempt(results, result_path) - 1
    return (last, results / failure_path(result_path, last)) if last else None


def reason_of(record: Path) -> str:
    """Return why an attempt failed, by the record of it; a damaged one stops no message."""
    try:
        return str(read_object(record, "reason")["reason"])
    except (OSError, DamagedError):
        return "its record is damaged"


def write_failure(results: Path, result_path: str, attempt: int, record: dict[str, Any]) -> Path:
    """Write the record of one failed attempt; return its path."""
    path = results / failure_path(result_path, attempt)
    write_atomically(path, json.dumps(record, indent=1).encode() + b"\n")
    return path
