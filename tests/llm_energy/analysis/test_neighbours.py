"""The control of what sets of GPUs do to each other."""

import math

import pytest
from tests.llm_energy import make_results

from llm_energy.analysis.controls import control_findings
from llm_energy.analysis.neighbours import on_full_host, other_sets, sets_at_work
from llm_energy.campaign.control_experiments import Control

BASE = make_results.REFERENCE
NEIGHBOURS = Control("neighbours", f"{BASE}.neighbours", BASE)
SETS = 4


def result(name, cycle, value, *, start_s):
    """A result on the set of its cycle; its measurement lasts from 2 s before its window to 1 s
    after it."""
    made = make_results.make_result(
        name,
        cycle=cycle,
        output_tokens_per_second=value,
    )
    run_id = f"run-set{(cycle - 1) % SETS + 1}"
    window = made.window.model_copy(
        update={"start_monotonic_s": start_s, "end_monotonic_s": start_s + 10.0}
    )
    phase = made.phases[0].model_copy(
        update={"start_monotonic_s": start_s - 2.0, "end_monotonic_s": start_s + 11.0}
    )
    place = made.environment.model_copy(update={"run_id": run_id, "session_id": run_id})
    return made.model_copy(update={"environment": place, "window": window, "phases": [phase]})


def campaign(ratios):
    """The reference of each cycle beside those of the other sets, then alone."""
    found = []
    for number, ratio in enumerate(ratios):
        turn_s = 1000.0 * (number // SETS)
        alone_s = turn_s + 100.0 + 20.0 * (number % SETS)
        found.append(result(BASE, number + 1, 100.0, start_s=turn_s))
        found.append(result(NEIGHBOURS.experiment, number + 1, 100.0 * ratio, start_s=alone_s))
    return found


def finding(results):
    (found,) = control_findings([NEIGHBOURS], results, lambda _: None)
    return found


def test_sets_at_work_are_counted_over_the_window():
    first, second = result(BASE, 1, 1.0, start_s=100.0), result(BASE, 2, 1.0, start_s=107.0)
    elsewhere = result(BASE, 3, 1.0, start_s=500.0)
    results = [first, second, elsewhere]
    assert sets_at_work(first, results) == pytest.approx(0.5)
    assert other_sets(first, results) == 2
    assert not on_full_host(first, results)
    assert on_full_host(first, [first, second])


def test_a_run_without_sets_has_no_neighbours():
    first = result(BASE, 1, 1.0, start_s=100.0)
    place = first.environment.model_copy(update={"run_id": "another"})
    other = first.model_copy(update={"environment": place})
    assert other_sets(other, [first, other]) == 0


def test_equal_results_alone_and_beside_others_pass():
    found = finding(campaign([1.001, 0.998, 1.002, 0.999]))
    assert (found.verdict, found.pairs) == ("pass", 4)


def test_a_difference_fails():
    found = finding(campaign([1.051, 1.049, 1.050, 1.052]))
    assert found.verdict == "fail"
    assert "what they share" in found.reason


def test_too_few_pairs_are_undecided_and_name_how_many_it_takes():
    found = finding(campaign([1.0, 1.01]))
    assert found.verdict == "undecided"
    assert found.reason.endswith("It takes 3 pairs or more.")
    found = finding(campaign([1.03, 0.97, 1.03, 0.97]))
    assert found.verdict == "undecided"
    spread = math.log(1.03 / 0.97) / math.sqrt(3)  # of four values at ± the same distance
    needed = (1.99 * spread / math.log(1.02)) ** 2
    assert int(found.reason.split("about ")[1].split()[0]) == pytest.approx(needed, abs=3)


def test_cycles_without_a_pair_are_counted_and_explained():
    """The reference of the last cycle has no other set beside it."""
    found = finding(campaign([1.0, 1.01, 1.0, 1.01])[2:])
    alone = finding([*campaign([1.0, 1.01]), *campaign([1.0, 1.0, 1.0, 1.0, 1.0])[8:]])
    assert "formed no pair" not in found.reason
    assert alone.pairs == 2
    assert "1 cycle formed no pair: not measured in the same cycle of a session, or" in alone.reason


def test_a_reference_that_was_alone_too_forms_no_pair():
    results = campaign([1.0, 1.0, 1.0, 1.0])
    alone = [r for r in results if r.cycle == 1 or r.experiment != BASE]
    found = finding(alone)
    assert (found.verdict, found.pairs) == ("not_testable", 0)
    assert "too few other sets at work" in found.reason
