"""One line at the terminal about the measurement that is going on."""

import os
import sys
from types import TracebackType

from llm_energy.runs.progress import Progress, human_duration

ERASE = "\r\x1b[K"


class LiveLine:
    """Shows the phase of a measurement in the last line of a terminal, drawn when a phase begins.

    It is drawn by nothing but `show`, so that nothing is drawn where nothing is shown. Without a
    terminal it does nothing.
    """

    def __init__(self, name: str, progress: Progress, *, draws: bool = True) -> None:
        """Args: draws: False where other measurements would draw over it."""
        self._head = f"{progress.place(progress.done + 1)} {name}: "
        self._end = f"; about {human_duration(progress.left_s)} left"
        self._draws = draws and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"

    def show(self, phase: str) -> None:
        """Draw the line anew with another phase."""
        if self._draws:
            text = f"{self._head}{phase}{self._end}"
            columns = os.get_terminal_size(sys.stderr.fileno()).columns
            # A terminal of no size does not say it; a line that fills the last column would wrap.
            self._write(ERASE + (text[: columns - 1] if columns else text))

    def __enter__(self) -> "LiveLine":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._draws:
            self._write(ERASE)

    @staticmethod
    def _write(text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()
