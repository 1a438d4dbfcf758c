"""The number of cycles follows from the results of the first cycles alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.llm_energy.make_campaigns import changed, load, make_checkout
from tests.llm_energy.make_results import make_result, put_result

from llm_energy.analysis.decision import Decision, decide
from llm_energy.analysis.derived_records import read_record, write_record
from llm_energy.results.result import ResultError
from llm_energy.workflow.decisions import (
    decided,
    decision_path,
    first_cycles,
    may_follow,
    requested,
    undecided,
)

CYCLES = {"first": 3, "maximum": 6, "target_relative_half_width": 0.02}


@pytest.fixture(scope="module")
def campaign(tmp_path_factory):
    """Four experiments in three to six cycles."""
    root = make_checkout(tmp_path_factory.mktemp("decisions"))
    return load(root, changed(lambda c: c.update(cycles=CYCLES)))


def first_results(**changes):
    return [make_result(cycle=cycle, position=cycle, **changes) for cycle in (1, 2, 3)]


def measure(campaign, results, experiment, cycles=(1, 2, 3), **changes):
    """Results that have nothing of the experiment but name and cycle."""
    for planned in campaign.schedule:
        if planned.experiment is experiment and planned.cycle in cycles:
            made = make_result(experiment.name, cycle=planned.cycle, **changes)
            put_result(results / planned.result_path, made)


def path_of(campaign, results, experiment):
    return results / decision_path(campaign.adaptive, experiment.spec_hash)


def test_energy_decides_where_it_is_metered():
    results = first_results(metered=True)
    decision = decide(results, 0.02)
    assert decision.metric == "joules_per_output_token"
    assert decision.values == [
        r.energy.joules_per_output_token for r in first_results(metered=True)
    ]


def test_throughput_decides_where_it_is_not():
    results = first_results()
    decision = decide(results, 0.02)
    assert decision.metric == "output_tokens_per_second"
    assert decision.values == [result.output_tokens_per_second for result in results]


def test_out_of_memory_asks_for_no_more():
    decision = decide(first_results(out_of_memory=True), 0.02)
    assert (decision.metric, decision.values, decision.cycles) == (None, [], 3)


@given(st.permutations(first_results()))
def test_a_decision_is_a_pure_function_of_its_measurements(results):
    assert decide(results, 0.02) == decide(first_results(), 0.02)


def test_at_first_the_first_cycles_are_requested(campaign, tmp_path):
    assert decided(campaign, tmp_path) == {}
    assert {planned.cycle for planned in first_cycles(campaign)} == {1, 2, 3}
    assert requested(campaign, {}) == first_cycles(campaign)
    assert len(undecided(campaign, tmp_path)) == 4


def test_a_decision_asks_for_more_of_its_experiment_up_to_the_maximum(campaign, tmp_path):
    one, other = campaign.experiments[:2]
    for experiment, cycles in ((one, 4), (other, 90)):
        measure(campaign, tmp_path, experiment)
        decision = decide(first_results(), 0.02).model_copy(update={"cycles": cycles})
        write_record(path_of(campaign, tmp_path, experiment), decision)
    known = decided(campaign, tmp_path)
    assert known == {one.name: 4, other.name: 6}
    asked = requested(campaign, known)
    assert len(asked) == 4 + 6 + 3 + 3
    assert [planned.position for planned in asked] == sorted(planned.position for planned in asked)


def test_a_decision_counts_only_while_its_first_cycles_are_there(campaign, tmp_path):
    experiment = campaign.experiments[0]
    measure(campaign, tmp_path, experiment, cycles=(1, 3))
    write_record(path_of(campaign, tmp_path, experiment), decide(first_results(), 0.02))
    assert decided(campaign, tmp_path) == {}


def test_a_file_that_is_no_decision_is_reported_with_the_remedy(tmp_path):
    (tmp_path / "decision.json").write_text("{")
    with pytest.raises(ResultError, match=r"decision\.json: no decision; delete it"):
        read_record(Decision, tmp_path / "decision.json")


def test_what_may_follow_is_known_as_soon_as_the_first_cycles_stand(campaign, tmp_path):
    experiment = campaign.experiments[0]
    second = [c for c in campaign.schedule if c.experiment is experiment and c.cycle == 2]

    def following(needed=(), **options):
        schedule = may_follow(campaign, tmp_path, [experiment.name], needed=needed, **options)
        return [planned.cycle for planned in schedule]

    assert following(needed=second) == [4, 5, 6]
    measure(campaign, tmp_path, experiment, out_of_memory=True)
    assert following() == []
    assert following(needed=second) == [4, 5, 6]
    measure(campaign, tmp_path, experiment, cycles=(4,))
    assert following(needed=second) == [5, 6]
    assert following(needed=second, again=True) == [4, 5, 6]


def test_a_number_of_cycles_needs_no_decision(tmp_path):
    campaign = load(make_checkout(tmp_path / "checkout"))
    known = decided(campaign, tmp_path)
    assert requested(campaign, known) == list(campaign.schedule) == first_cycles(campaign)
    assert undecided(campaign, tmp_path) == []
    assert may_follow(campaign, tmp_path, known, needed=[]) == []
