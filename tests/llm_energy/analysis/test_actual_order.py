"""The order in which a run measured is held against the one it planned."""

from hypothesis import given
from hypothesis import strategies as st
from tests.llm_energy.make_results import make_result

from llm_energy.analysis.actual_order import in_actual_order, places
from llm_energy.analysis.campaign_flags import with_campaign_flags


def measured(positions, *, run_id="run", stamped=True):
    """Results in the order in which they were measured."""
    found = []
    for rank, position in enumerate(positions):
        result = make_result(cycle=position + 1, position=rank)
        environment = result.environment.model_copy(update={"run_id": run_id})
        changes = {"position": position, "environment": environment}
        changes |= {} if stamped else {"phases": []}
        found.append(result.model_copy(update=changes))
    return found


@given(st.permutations(range(6)), st.booleans())
def test_both_are_places_among_the_measurements_of_the_run(positions, stamped):
    found = places(measured(positions, stamped=stamped))
    assert [place.actual for place in found] == [1, 2, 3, 4, 5, 6]
    assert [place.planned - 1 for place in found] == list(positions)


def test_what_was_left_for_another_run_moved_nothing():
    results = measured([0, 1, 4, 5]) + measured([2, 3], run_id="later")
    assert with_campaign_flags(results, [], margin=0.02) == results


def test_a_clock_that_was_set_back_moves_nothing():
    results = measured([0, 1, 2])
    results[2] = results[2].model_copy(update={"started": "2020-01-01T00:00:00+00:00"})
    assert with_campaign_flags(results, [], margin=0.02) == results


def test_drift_is_reported_over_an_order_that_no_clock_can_change():
    results = measured([0, 1, 2])
    results[1] = results[1].model_copy(update={"started": "2100-01-01T00:00:00+00:00"})
    later = [
        result.model_copy(update={"started": f"2101-01-0{day}T00:00:00+00:00"})
        for day, result in enumerate(measured([3, 4], run_id="later"), start=1)
    ]
    assert in_actual_order([*reversed(later), *reversed(results)]) == results + later


def test_what_changed_places_is_flagged_with_both():
    flags = [result.flags for result in with_campaign_flags(measured([0, 2, 1]), [], margin=0.02)]
    assert [[flag.code for flag in each] for each in flags] == [
        [],
        ["out_of_order"],
        ["out_of_order"],
    ]
    assert flags[1][0].message == "at place 2 of its run, planned was 3"
