"""The lines that the kit prints, one for each check."""

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["PASS", "FAIL", "NOTE"]


@dataclass(frozen=True)
class Line:
    """One check: its subject, the verdict, and what was seen."""

    verdict: Verdict
    """`NOTE` where nothing is required."""
    subject: str
    text: str

    def __str__(self) -> str:
        return f"{self.verdict}  {self.subject}: {self.text}"


def judged(subject: str, good: bool, text: str) -> Line:
    return Line("PASS" if good else "FAIL", subject, text)
