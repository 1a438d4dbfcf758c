"""A start that waits is known while it waits, and no longer."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from tests import damaged

from llm_energy.runs.waiting_start import WAITING, note_of, noted, waiting_starts

RESULTS = Path("results/nap")
WAITS_FOR = "GPU-1, used by the run of process 4711 of alice"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_it_is_known_while_it_waits_for_its_results_alone():
    with noted(note_of(RESULTS)) as note:
        assert waiting_starts(RESULTS) == []
        note("GPU-0, used by the run of process 12 of bob")
        note(WAITS_FOR)
        for results in (RESULTS, RESULTS.absolute()):
            assert [start.waits_for for start in waiting_starts(results)] == [WAITS_FOR]
        assert waiting_starts(RESULTS / "pilot") == []
    assert waiting_starts(RESULTS) == []
    assert list(WAITING.iterdir()) == []


def test_one_that_was_killed_waits_no_more():
    with noted(note_of(RESULTS)) as note:
        note(WAITS_FOR)
        (waiting,) = waiting_starts(RESULTS)
        (path,) = WAITING.iterdir()
        dead = replace(waiting, process=replace(waiting.process, start_ticks=1))
        path.write_text(json.dumps(asdict(dead)))
        assert waiting_starts(RESULTS) == []


@pytest.mark.parametrize("harm", [*damaged.NO_FILE, *damaged.NO_RECORD], ids=lambda h: h.__name__)
def test_a_damaged_note_stops_nothing(harm):
    with noted(note_of(RESULTS)) as note:
        note(WAITS_FOR)
        (path,) = WAITING.iterdir()
        damaged.replace(path, harm)
        assert waiting_starts(RESULTS) == []


def test_a_note_that_cannot_be_written_stops_nothing():
    WAITING.parent.mkdir()
    WAITING.touch()
    with noted(note_of(RESULTS)) as note:
        note(WAITS_FOR)
        assert waiting_starts(RESULTS) == []
