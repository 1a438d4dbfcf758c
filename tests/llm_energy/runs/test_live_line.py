"""The line at the terminal: drawn when a phase begins, gone at the end, and none elsewhere."""

import io
import os
from contextlib import redirect_stderr

import pytest

from llm_energy.runs.live_line import ERASE, LiveLine
from llm_energy.runs.progress import Progress

HALF_WAY = Progress(done=5, requested=12, left_s=130.0, undecided=False)


class Terminal(io.StringIO):
    """A terminal of 60 columns; `drawn` is what was written since it was read last."""

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return 2

    def drawn(self) -> str:
        text = self.getvalue()
        self.truncate(self.seek(0))
        return text


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("os.get_terminal_size", lambda _file: os.terminal_size((60, 24)))
    return Terminal()


def test_it_names_measurement_phase_and_the_time_that_remains(terminal):
    with redirect_stderr(terminal), LiveLine("nap cycle 2", HALF_WAY) as line:
        line.show("loading")
        assert terminal.drawn() == f"{ERASE}[ 6/12] nap cycle 2: loading; about 2 min left"
        line.show("window, 10 s or more")
        cut = "[ 6/12] nap cycle 2: window, 10 s or more; about 2 min left"[:59]
        assert terminal.drawn() == ERASE + cut
    assert terminal.drawn() == ERASE


def test_nothing_is_drawn_where_no_terminal_is(capsys):
    with LiveLine("nap cycle 2", HALF_WAY) as line:
        line.show("loading")
    assert capsys.readouterr().err == ""


def test_a_terminal_that_cannot_erase_gets_nothing(terminal, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    with redirect_stderr(terminal), LiveLine("nap cycle 2", HALF_WAY) as line:
        line.show("loading")
    assert terminal.drawn() == ""
