"""The pilot of a campaign is measured apart from it."""

import copy

import pytest

from tests.integration.workflow import CAMPAIGN, finished

pytestmark = pytest.mark.integration


def test_a_pilot_tells_what_it_found_and_leaves_the_campaign_alone(ready):
    campaign = copy.deepcopy(CAMPAIGN) | {"cycles": 7}
    campaign["measurement"]["minimum_duration_s"] = 30.0  # 1 s in the pilot
    campaign["experiments"] = {
        "nap": {},
        "glutton": {"settings": {"engine": {"sleep": {"load_fault": "oom"}}}},
        "broken": {"settings": {"engine": {"sleep": {"load_fault": "raise"}}}},
    }
    tree = ready
    tree.write_campaign(campaign)
    failed = tree.run("pilot")
    assert failed.returncode != 0
    assert len(finished(failed.stdout)) == 4
    assert "Pilot of nap: 4 of 6 measurements" in failed.stdout
    assert "Out of memory: glutton" in failed.stdout
    assert "Failed: broken cycle 1: " in failed.stdout
    assert "between cycles: " in failed.stdout
    assert tree.results() == []
    assert len(list((tree.folder / "results/nap/pilot/measurements").rglob("cycle-*.json"))) == 4

    del campaign["experiments"]["broken"]
    tree.write_campaign(campaign)
    again = tree.run("pilot", check=True).stdout
    assert finished(again) == []
    assert "Pilot of nap: 4 of 4 measurements" in again
    assert tree.planned() == 14
