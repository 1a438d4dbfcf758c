"""The lines that the kit prints, one for each thing it looked at."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["PASS", "FAIL", "NOTE"]


@dataclass(frozen=True)
class Line:
    """What was looked at, whether it is as it must be, and what was seen."""

    verdict: Verdict
    """`NOTE`: there is nothing that it must be."""
    subject: str
    text: str

    def __str__(self) -> str:
        return f"{self.verdict}  {self.subject}: {self.text}"


def judged(subject: str, good: bool, text: str) -> Line:
    return Line("PASS" if good else "FAIL", subject, text)


def failed(lines: Iterable[Line]) -> list[Line]:
    return [line for line in lines if line.verdict == "FAIL"]


Tell = Callable[[Line], None]
"""Takes each line as soon as it is known."""
