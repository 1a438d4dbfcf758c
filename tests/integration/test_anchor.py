"""A campaign that is extended in a new session measures its reference once more there."""

import copy
import json

import pytest

from tests.integration.workflow import CAMPAIGN, finished

pytestmark = pytest.mark.integration


def test_an_extension_is_anchored_once_and_says_so(measured):
    extended = copy.deepcopy(CAMPAIGN) | {"reference": "nap_batch1"}
    extended["experiments"] = {"nap": {"axes": {"batch_size": [1, 2, 4]}}}
    measured.write_campaign(extended)
    said = measured.run(check=True).stdout
    assert finished(said) == [("nap_batch1", 1), ("nap_batch4", 1), ("nap_batch4", 2)]
    assert len(measured.results()) == 6
    (anchor,) = (measured.folder / "results/nap/anchors").rglob("cycle-*.json")
    facts = json.loads((measured.folder / "results/nap/summary/summary.json").read_text())
    assert [one["experiment"] for one in facts["anchors"]] == ["nap_batch1"]
    assert facts["completed"] == 6
    assert "nap_batch1 again in the later session: " in str(facts["comparisons"])

    before = anchor.read_bytes()
    assert "Nothing to be done" in measured.run(check=True).stdout
    assert anchor.read_bytes() == before
