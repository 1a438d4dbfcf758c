"""The time that remains comes from what was seen, where anything was."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_energy.backends.runtime import SCRIPTS
from llm_energy.runs import progress
from llm_energy.runs.run import Run
from llm_energy.runs.run_records import Measuring

EXPECTED = {"a": 10.0, "b": 30.0}


def test_before_the_first_result_the_plan_is_all_there_is():
    assert progress.estimated_s(EXPECTED, []) == EXPECTED


def test_what_was_seen_of_an_experiment_replaces_its_expectation():
    assert progress.estimated_s(EXPECTED, [("a", 12.0), ("a", 14.0)])["a"] == 13.0


def test_experiments_not_seen_yet_are_scaled_by_those_seen():
    assert progress.estimated_s(EXPECTED, [("a", 20.0)])["b"] == 60.0


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0.1, 1e4)), max_size=5))
def test_every_planned_experiment_and_no_other_has_an_estimate(taken):
    assert progress.estimated_s(EXPECTED, taken).keys() == EXPECTED.keys()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.2, "0.2 s"),
        (42.4, "42 s"),
        (89, "89 s"),
        (420, "7 min"),
        (11100, "3 h 05 min"),
    ],
)
def test_durations_as_people_say_them(seconds, text):
    assert progress.human_duration(seconds) == text


def test_a_measurement_starts_when_its_wait_ends(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    moments = iter(["2026-01-01T00:00:00+00:00", "2026-01-01T00:05:00+00:00"])
    run = Run.create(campaign="nap", results=tmp_path / "results", scripts=SCRIPTS)
    monkeypatch.setattr(progress, "utc_now", lambda: next(moments))
    progress.note_start(run, result="a.json", attempt=1)
    progress.note_waiting(run, None)  # it did not wait
    progress.note_waiting(run, "all other sets to end")
    waiting = run.read(progress.MEASURING, Measuring)
    assert (waiting.waits_for, waiting.started) == (
        "all other sets to end",
        "2026-01-01T00:00:00+00:00",
    )
    progress.note_waiting(run, None)
    measuring = run.read(progress.MEASURING, Measuring)
    assert (measuring.waits_for, measuring.started) == (None, "2026-01-01T00:05:00+00:00")
    run.remove()


def test_a_line_is_one_write_so_that_those_of_other_sets_cannot_tear_it(monkeypatch):
    """`print` writes the end of a line by itself where streams are not buffered."""
    written: list[str] = []
    stream = SimpleNamespace(write=written.append, flush=lambda: None)
    monkeypatch.setattr("sys.stderr", stream)
    progress.show_line("nap cycle 1 waits for all other sets to end")
    assert "".join(written) == "nap cycle 1 waits for all other sets to end\n"
    assert len([text for text in written if text]) == 1
