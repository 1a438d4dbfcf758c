"""The time that remains comes from what was seen, where anything was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_energy.runs import progress

EXPECTED = {"a": 10.0, "b": 30.0}


def test_before_the_first_result_the_plan_is_all_there_is():
    assert progress.remaining_s(EXPECTED, left=["a", "b"], taken=[]) == 40.0


def test_what_was_seen_of_an_experiment_replaces_its_expectation():
    assert progress.remaining_s(EXPECTED, left=["a"], taken=[("a", 12.0)]) == 12.0


def test_experiments_not_seen_yet_are_scaled_by_those_seen():
    assert progress.remaining_s(EXPECTED, left=["b"], taken=[("a", 20.0)]) == 60.0


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0.1, 1e4)), max_size=5))
def test_nothing_remains_where_nothing_is_left(taken):
    assert progress.remaining_s(EXPECTED, left=[], taken=taken) == 0


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
