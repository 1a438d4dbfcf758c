"""The time that remains comes from what was seen, where anything was."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_energy.runs import progress

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


def test_a_line_is_one_write_so_that_those_of_other_sets_cannot_tear_it(monkeypatch):
    """`print` writes the end of a line by itself where streams are not buffered."""
    written: list[str] = []
    stream = SimpleNamespace(write=written.append, flush=lambda: None)
    monkeypatch.setattr("sys.stderr", stream)
    progress.show_line("nap cycle 1 waits for all other sets to end")
    assert "".join(written) == "nap cycle 1 waits for all other sets to end\n"
    assert len([text for text in written if text]) == 1
