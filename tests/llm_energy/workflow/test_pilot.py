"""A pilot says what will fail and what the campaign will take, as estimates."""

import pytest
from tests.llm_energy.make_campaigns import changed, load, make_checkout
from tests.llm_energy.make_results import make_result, put_result

from llm_energy.campaign.pilot_config import pilot_config
from llm_energy.results.failures import write_failure
from llm_energy.workflow.pilot import duration_s, findings


@pytest.fixture
def campaigns(tmp_path):
    """Four experiments in five cycles of 3 s windows, and their pilot."""
    root = make_checkout(tmp_path / "checkout")
    config = changed(lambda config: config.update(cycles=5))
    return load(root, config), load(root, pilot_config(config))


def measure(pilot, results, **changes):
    for planned in pilot.schedule:
        made = make_result(planned.experiment.name, cycle=planned.cycle, metered=True, **changes)
        put_result(results / planned.result_path, made)


def test_spread_cycles_and_time_are_estimates(campaigns, tmp_path):
    campaign, pilot = campaigns
    measure(pilot, tmp_path)
    first, spread, cycles, time = findings(campaign, pilot, tmp_path)
    assert first == "Pilot of trial: 8 of 8 measurements"
    assert spread.startswith("  Spread of energy per output token between cycles: ")
    assert spread.endswith("pooled over 4 experiments)")
    assert cycles.startswith("  Cycles for ±2 %: ")
    assert "(estimate: " in cycles
    # each took 11 s, and 2 s + 1.5 s more in the campaign: 4 × 5 × 14.5 s
    assert time == "  Expected time for 5 cycles: 5 min (estimate)"


def test_a_warm_up_that_was_cut_short_makes_the_time_a_range(campaigns):
    results = [make_result(cycle=1), make_result(cycle=2, capped=True)]
    assert duration_s(*campaigns, results[:1]) == (14.5, 14.5)
    assert duration_s(*campaigns, results) == (14.5, 17.5)


def test_out_of_memory_takes_no_longer_in_the_campaign_and_is_reported(campaigns, tmp_path):
    campaign, pilot = campaigns
    measure(pilot, tmp_path, out_of_memory=True)
    lines = findings(campaign, pilot, tmp_path)
    told = [line for line in lines if "Out of memory" in line]
    assert told == [f"  Out of memory: {name}" for name in names_as_measured(pilot)]
    assert "  Spread between cycles: unknown, no experiment has two values" in lines
    assert duration_s(campaign, pilot, [make_result(out_of_memory=True)]) == (11, 11)


def names_as_measured(pilot):
    return list(dict.fromkeys(planned.experiment.name for planned in pilot.schedule))


def test_what_failed_is_reported_with_its_record(campaigns, tmp_path):
    campaign, pilot = campaigns
    measure(pilot, tmp_path)
    for planned in pilot.schedule:
        if planned.experiment is pilot.experiments[0]:
            (tmp_path / planned.result_path).unlink()
            write_failure(tmp_path, planned.result_path, 1, {"reason": "engine_error"})
    lines = findings(campaign, pilot, tmp_path)
    assert lines[0] == "Pilot of trial: 6 of 8 measurements"
    name = pilot.experiments[0].name
    assert lines[1].startswith(f"  Failed: {name} cycle 1: engine_error, see {tmp_path}")
    assert lines[-1] == "  Without the experiments that have no result: 1"


def test_without_any_result_nothing_is_estimated(campaigns, tmp_path):
    lines = findings(*campaigns, tmp_path)
    assert len(lines) == 1 + 8
    assert all(line.endswith(": not measured") for line in lines[1:])
