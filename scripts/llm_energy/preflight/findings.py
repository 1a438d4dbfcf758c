"""Findings of preflight, and their output as text and JSON."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

Status = Literal["ok", "note", "warning", "problem", "unknown"]
"""`problem`: the run would stop or fail; `warning`: it would run, with worse data; `unknown`: this
could not be determined."""

COUNTED: tuple[Status, ...] = ("problem", "warning", "unknown")
"""Statuses that the summary counts, in its order."""


@dataclass(frozen=True)
class Finding:
    """The result of one check."""

    status: Status
    subject: str
    message: str
    """One sentence, with the remedy where there is one."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """The same as JSON values, with units in their names."""


def problems(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings that would stop the run."""
    return [finding for finding in findings if finding.status == "problem"]


def summary(findings: Iterable[Finding]) -> str:
    """Count the findings that need attention, in words."""
    counts = Counter(finding.status for finding in findings)
    parts = [
        f"{n} {status}{'s' * (n != 1 and status != 'unknown')}"
        for status in COUNTED
        if (n := counts[status])
    ]
    return ", ".join(parts) or "nothing is in the way"


def as_text(campaign: str, findings: Sequence[Finding]) -> str:
    """Format one aligned line for each finding; the summary is last, where a terminal stops."""
    from tabulate import tabulate

    rows = [(finding.status, finding.subject, finding.message) for finding in findings]
    table = tabulate(rows, tablefmt="plain", disable_numparse=True)
    return f"{table}\n\nCampaign {campaign} on this machine: {summary(findings)}\n"


def as_json(campaign: str, findings: Sequence[Finding]) -> str:
    content = {
        "campaign": campaign,
        "checked": datetime.now(UTC).isoformat(timespec="seconds"),
        "counts": dict(Counter(finding.status for finding in findings)),
        "findings": [asdict(finding) for finding in findings],
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"
