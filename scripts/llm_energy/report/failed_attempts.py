"""Failed attempts as the page tells them: equal ones once, with all that they happened to."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from llm_energy.analysis.summary import Failure

_VOLATILE = re.compile(r"\d+(?:\.\d+)?|/\S+|\b[0-9a-f]{12,}\b")
"""What differs between messages that say the same: numbers, paths, identifiers."""


@dataclass(frozen=True)
class FailureGroup:
    reason: str
    message: str
    """Of the first one."""
    failures: Sequence[Failure]


def failure_groups(failures: Sequence[Failure]) -> list[FailureGroup]:
    """Failures of one reason whose messages differ in numbers and paths at most, the most frequent
    first."""
    found: dict[tuple[str, str], list[Failure]] = {}
    for failure in failures:
        found.setdefault((failure.reason, _VOLATILE.sub("#", failure.message)), []).append(failure)
    groups = [FailureGroup(reason, alike[0].message, alike) for (reason, _), alike in found.items()]
    return sorted(groups, key=lambda group: -len(group.failures))
