"""Carry-over in whole campaigns: which measurements count, and what is stated of a factor."""

import random

import pytest
from tests.llm_energy import make_results
from tests.llm_energy.make_results import put_result

from llm_energy.analysis.aggregate import aggregate
from llm_energy.analysis.carry_over import carry_over

NAMES = ("cold", "warm", "hot", "mild")
FACTORS = ["position", "predecessor", "process_age"]


def campaign(seed=1, *, cycles=8, after_hot=1.0, last=1.0, aged=1.0, shuffled=True, reused=True):
    """Results of randomised cycles with 1 % of noise and planted factors.

    Args:
        after_hot: of throughput after `hot`.
        last: of the last place of a cycle, the first being 1.
        aged: of a process of 300 s, a new one being 1.
    """
    chance, results, previous = random.Random(seed), [], None
    for cycle in range(1, cycles + 1):
        order = list(NAMES)
        if shuffled:
            chance.shuffle(order)
        for place, name in enumerate(order):
            age_s = chance.uniform(0.0, 300.0) if reused else 3.0
            speed = 100.0 * (1 + NAMES.index(name)) * chance.gauss(1.0, 0.01)
            speed *= last ** (place / 3) * aged ** (age_s / 300.0)
            speed *= after_hot if previous == "hot" else 1.0
            plain = make_results.make_result(name, cycle=cycle, position=len(results))
            process = plain.process.model_copy(
                update={"engine_age_s": age_s, "engine_reused": reused}
            )
            changes = {"output_tokens_per_second": speed, "process": process}
            results.append(plain.model_copy(update=changes))
            previous = name
    return results


def by_factor(results):
    found = carry_over(results)
    assert [one.factor for one in found] == FACTORS
    assert {one.metric for one in found} == {"output_tokens_per_second"}
    return {one.factor: one for one in found}


def test_throughput_that_falls_after_one_experiment_is_found():
    found = by_factor(campaign(after_hot=0.95))["predecessor"]
    assert (found.after, found.seen, found.reason) == ("hot", True, "")
    assert found.change == pytest.approx(0.95**0.75 - 1, abs=0.012)  # against the mean of all four
    assert found.low < found.change < found.high < 0.0
    assert found.observations == 31


def test_throughput_that_falls_within_each_cycle_is_found():
    found = by_factor(campaign(last=0.95))["position"]
    assert found.seen
    assert found.after is None
    assert found.change == pytest.approx(-0.05, abs=0.012)


def test_throughput_that_falls_with_the_age_of_the_process_is_found():
    found = by_factor(campaign(aged=0.95))["process_age"]
    assert found.seen
    assert found.change == pytest.approx(-0.05, abs=0.012)


def test_without_carry_over_a_campaign_in_20_at_most_seems_to_have_some():
    seen = [any(one.seen for one in carry_over(campaign(seed))) for seed in range(100)]
    assert sum(seen) <= 10


def test_the_size_that_could_have_been_seen_stands_beside_each_effect():
    found = by_factor(campaign())
    assert 0.005 < found["position"].detectable < 0.04
    assert 0.005 < found["predecessor"].detectable < 0.04
    few = by_factor(campaign(cycles=4))
    assert few["position"].detectable > found["position"].detectable


def test_in_one_order_only_the_age_of_the_process_can_be_tested():
    found = by_factor(campaign(shuffled=False))
    for factor in ("position", "predecessor"):
        assert found[factor].change is None
        assert found[factor].detectable is None
        assert "their order is not random" in found[factor].reason
    assert found["process_age"].change is not None


def test_processes_of_one_measurement_each_have_no_age_to_test():
    found = by_factor(campaign(reused=False))["process_age"]
    assert (found.change, found.seen) == (None, False)
    assert found.reason.endswith("shared an engine process.")


def test_a_run_begins_without_a_predecessor():
    results = campaign()
    second = [
        result.model_copy(
            update={"environment": result.environment.model_copy(update={"run_id": "later"})}
        )
        if result.cycle > 4
        else result
        for result in results
    ]
    assert by_factor(second)["predecessor"].observations == 30


def test_metered_campaigns_state_it_of_both_metrics(tmp_path):
    results = [
        make_results.make_result(name, cycle=cycle, position=4 * cycle + place, metered=True)
        for cycle in range(1, 5)
        for place, name in enumerate(random.Random(cycle).sample(NAMES, k=4))
    ]
    planned = [make_results.path_of(result) for result in results]
    for path, result in zip(planned, results, strict=True):
        put_result(tmp_path / path, result)
    found = aggregate(tmp_path, planned=planned, design=make_results.design()).findings.carry_over
    assert [one.metric for one in found] == [
        *["output_tokens_per_second"] * 3,
        *["joules_per_output_token"] * 3,
    ]


def test_nothing_measured_has_no_carry_over():
    assert carry_over([]) == []
    assert carry_over([make_results.make_result(out_of_memory=True)]) == []
