"""A pilot measures the same experiments, shortly."""

import pytest
from tests.llm_energy.campaign.test_rate_search import searching
from tests.llm_energy.make_campaigns import changed, load

from llm_energy.campaign.pilot_config import pilot_config
from llm_energy.workflow.pilot import visits


def measurement(**values):
    return changed(lambda config: config.update(measurement=values))


def test_the_same_experiments_in_two_cycles_under_other_identities(root):
    config = measurement()
    campaign, pilot = load(root, config), load(root, pilot_config(config))
    assert [e.name for e in pilot.experiments] == [e.name for e in campaign.experiments]
    assert (pilot.cycles, pilot.adaptive) == (2, None)
    assert not {e.spec_hash for e in pilot.experiments} & {
        e.spec_hash for e in campaign.experiments
    }


@pytest.mark.parametrize(("device", "window_s"), [("cpu", 1.0), ("gpu", 10.0)])
def test_it_is_short_on_every_device(root, device, window_s):
    pilot = load(root, pilot_config(measurement(device=device)))
    assert pilot.measurement.minimum_duration_s == window_s
    assert pilot.measurement.device == device


def test_what_is_shorter_already_stays(root):
    given = {"minimum_duration_s": 0.05, "baseline_s": 0.0, "tail_s": 7.0, "sampling_hz": 5.0}
    timing = load(root, pilot_config(measurement(**given))).measurement
    assert timing.model_dump().items() >= given.items()


def test_of_a_search_the_lowest_and_the_highest_rate_are_measured(root):
    campaign, pilot = load(root, searching()), load(root, pilot_config(searching()))
    rates = {experiment.settings.request_rate for experiment in pilot.experiments}
    assert rates == {2, 15.19}
    assert pilot.searches == ()
    assert visits(campaign, [experiment.name for experiment in pilot.experiments]) == {
        experiment.name: 1.5 for experiment in pilot.experiments
    }


@pytest.mark.parametrize("wrong", [3, {"tail_s": "long"}, {"unknown": 1}])
def test_a_mistake_is_left_to_whoever_reads_it(wrong):
    config = {"campaign": "trial", "measurement": wrong}
    assert pilot_config(config) == config
