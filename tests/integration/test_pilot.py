"""The pilot of a campaign is measured apart from it."""

import copy
import json

import pytest

from tests.integration.workflow import CAMPAIGN, finished

pytestmark = pytest.mark.integration

NOT_AGAIN = "(found by broken cycle 1 in this run, and not tried again)"


def test_a_pilot_tells_what_it_found_and_leaves_the_campaign_alone(ready):
    campaign = copy.deepcopy(CAMPAIGN) | {"cycles": 7}
    campaign["measurement"]["minimum_duration_s"] = 30.0  # 1 s in the pilot
    campaign["experiments"] = {"nap": {}}
    tree = ready
    for name, fault in (("glutton", "oom"), ("broken", "raise")):  # the first load alone fails
        faulty = {"load_fault": fault, "fault_once_file": str(tree.folder / name)}
        campaign["experiments"][name] = {"settings": {"engine": {"sleep": faulty}}}
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

    pilot = tree.folder / "results/nap/pilot"
    records = [json.loads(path.read_text()) for path in (pilot / "failures").rglob("cycle-*.json")]
    told = sorted((one["cycle"], one["reason"], NOT_AGAIN in one["message"]) for one in records)
    assert told == [(1, "engine_error", False), (2, "engine_error", True)]

    again = tree.run("pilot", check=True).stdout
    assert finished(again) == [("broken", 1), ("broken", 2)]
    assert "Pilot of nap: 6 of 6 measurements" in again
    assert "Out of memory: glutton" in again
    assert tree.planned() == 21
