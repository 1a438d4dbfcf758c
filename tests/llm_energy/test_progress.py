"""The time that remains comes from what was seen, where anything was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_energy import progress


def entry(experiment, cycle, expected_s=10.0):
    return {
        "experiment": experiment,
        "cycle": cycle,
        "result": f"measurements/{experiment}/x/cycle-{cycle:02d}.json",
        "expected_s": expected_s,
    }


def finish(results, item):
    path = results / item["result"]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def test_before_the_first_result_the_plan_is_all_there_is(tmp_path):
    plan = [entry("a", 1), entry("b", 1, expected_s=30.0)]
    assert progress.remaining_s(plan, results=tmp_path, taken=[]) == 40.0


def test_what_was_seen_of_an_experiment_replaces_its_expectation(tmp_path):
    plan = [entry("a", 1), entry("a", 2)]
    finish(tmp_path, plan[0])
    assert progress.remaining_s(plan, results=tmp_path, taken=[("a", 12.0)]) == 12.0


def test_experiments_not_seen_yet_are_scaled_by_those_seen(tmp_path):
    plan = [entry("a", 1), entry("b", 1, expected_s=30.0)]
    finish(tmp_path, plan[0])
    assert progress.remaining_s(plan, results=tmp_path, taken=[("a", 20.0)]) == 60.0


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0.1, 1e4)), max_size=5))
def test_nothing_remains_of_an_empty_plan(taken):
    assert progress.remaining_s([], results=None, taken=taken) == 0  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (42.4, "42 s"), (89, "89 s"), (420, "7 min"), (11100, "3 h 05 min")],
)
def test_durations_as_people_say_them(seconds, text):
    assert progress.human_duration(seconds) == text
