"""What a look at the machine found: one sentence each, and how they are told."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

Status = Literal["ok", "note", "warning", "problem", "unknown"]
"""`problem`: the run would stop or fail; `warning`: it would run, and be worse for it; `unknown`:
this could not be found out."""

TOLD: Mapping[Status, str] = {"problem": "problem", "warning": "warning", "unknown": "unknown"}
"""What is counted in the summary, in this order."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    status: Status
    subject: str
    message: str
    """One sentence, with the remedy where there is one."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """The same in values that JSON can say, units in their names."""


def problems(findings: Iterable[Finding]) -> list[Finding]:
    """What would stop the run."""
    return [finding for finding in findings if finding.status == "problem"]


def summary(findings: Iterable[Finding]) -> str:
    """How many there are of what should be read."""
    counts = Counter(finding.status for finding in findings)
    parts = [
        f"{n} {word}{'s' * (n != 1 and word != 'unknown')}"
        for status, word in TOLD.items()
        if (n := counts[status])
    ]
    return ", ".join(parts) or "nothing is in the way"


def as_text(campaign: str, findings: Sequence[Finding]) -> str:
    """One line for each finding, aligned; the summary last, where a terminal stands still."""
    status_width = max(len(finding.status) for finding in findings)
    subject_width = max(len(finding.subject) for finding in findings)
    lines = [
        f"{finding.status:{status_width}}  {finding.subject:{subject_width}}  {finding.message}"
        for finding in findings
    ]
    return "\n".join([*lines, "", f"Campaign {campaign} on this machine: {summary(findings)}", ""])


def as_json(campaign: str, findings: Sequence[Finding]) -> str:
    content = {
        "campaign": campaign,
        "checked": datetime.now(UTC).isoformat(timespec="seconds"),
        "counts": dict(Counter(finding.status for finding in findings)),
        "findings": [asdict(finding) for finding in findings],
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"
