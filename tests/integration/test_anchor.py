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
    printed = measured.run("report", check=True).stdout
    assert finished(printed) == [("nap_batch1", 1), ("nap_batch4", 1), ("nap_batch4", 2)]
    assert len(measured.results()) == 6
    (anchor,) = (measured.folder / "results/nap/anchors").rglob("cycle-*.json")
    findings = json.loads((measured.folder / "results/nap/summary/summary.json").read_text())
    assert [one["experiment"] for one in findings["anchors"]] == ["nap_batch1"]
    assert findings["completed"] == 6
    assert "nap_batch1 again in the later session: " in str(findings["comparisons"])

    before = anchor.read_bytes()
    assert measured.graph("report").rules == set()
    assert anchor.read_bytes() == before


def test_an_anchor_that_fails_is_named_and_its_record_is_in_the_report(ready):
    """The reference has an engine that fails as long as a file is not there."""
    well = ready.folder / "well"
    well.touch()
    fault = {"load_fault": "raise", "fault_once_file": str(well)}
    grown = copy.deepcopy(CAMPAIGN) | {"cycles": 1, "reference": "base"}
    grown["experiments"] = {"base": {"settings": {"engine": {"sleep": fault}}}}
    ready.write_campaign(grown)
    ready.run("measurements", check=True)

    well.unlink()
    grown["experiments"]["added"] = {}
    ready.write_campaign(grown)
    done = ready.run()
    assert done.returncode != 0
    assert finished(done.stdout) == [("added", 1)]
    (record,) = (ready.folder / "results/nap/failures/anchors").rglob("cycle-*.json")
    told = f"The anchor (base once more) failed: {json.loads(record.read_text())['reason']}, see "
    assert told + str(record.relative_to(ready.folder)) in done.stdout
    page = (ready.folder / "results/nap/report-partial.html").read_text()
    assert "base, anchor 1, attempt 1" in page

    assert "makes the report without it" in done.stdout
    assert finished(ready.run(check=True).stdout) == []
    assert "base, anchor 1, attempt 1" in (ready.folder / "results/nap/report.html").read_text()
