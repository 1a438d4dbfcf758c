"""Events that a report lacks, because they were recorded after it was made."""

import json
import os

import pytest
from tests import damaged

from llm_energy.workflow.late_events import late_lines, late_records

FIRST = {"time": "2026-01-01T00:01:00.000+00:00", "kind": "backend_restarted", "backend": "b"}
LATER = FIRST | {"time": "2026-01-01T00:02:00.000+00:00"}
RUN = "20260101T000000-0"


@pytest.fixture
def results(tmp_path):
    """A report that holds the first event of a run, whose record is published again after it."""
    (tmp_path / "summary").mkdir()
    held = {"run_id": RUN, "time": FIRST["time"], "kind": FIRST["kind"], "detail": "…"}
    (tmp_path / "summary/summary.json").write_text(json.dumps({"events": [held]}))
    (tmp_path / "report.html").touch()
    publish(tmp_path, FIRST)
    return tmp_path


def publish(results, *events, run_id=RUN, after_s=10.0):
    """Write the record of a run, by its time `after_s` after the report."""
    path = results / f"runs/{run_id}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"run_id": run_id, "events": events}))
    made_s = (results / "report.html").stat().st_mtime
    os.utime(path, (made_s + after_s, made_s + after_s))
    return path


def test_the_end_of_a_run_makes_no_report_old(results):
    publish(results, run_id="20260102T000000-0")
    assert late_records(results) == []
    assert late_lines(results) == []


def test_an_event_after_the_report_makes_it_old(results):
    path = publish(results, FIRST, LATER)
    assert late_records(results) == [path]
    (line,) = late_lines(results)
    assert line.startswith("The report lacks events that 1 run recorded after it was made")


def test_the_same_event_of_another_run_is_another_one(results):
    other = publish(results, FIRST, run_id=f"{RUN}-set1")
    assert late_records(results) == [other]


def test_a_report_that_was_made_since_is_not_old(results):
    publish(results, FIRST, LATER, after_s=-10.0)
    assert late_records(results) == []


def test_without_a_report_none_is_old(results):
    publish(results, FIRST, LATER)
    (results / "report.html").unlink()
    assert late_records(results) == []


@pytest.mark.parametrize("harm", damaged.NO_RECORD, ids=lambda harm: harm.__name__)
def test_a_damaged_record_of_a_run_makes_no_report_old(results, harm):
    path = publish(results, FIRST, LATER)
    damaged.replace(path, harm)
    os.utime(path, (2**32, 2**32))
    assert late_records(results) == []


@pytest.mark.parametrize("harm", damaged.NO_FILE, ids=lambda harm: harm.__name__)
def test_a_record_that_is_no_file_hides_no_event_of_another(results, harm):
    damaged.replace(results / f"runs/{RUN}.json", harm)
    other = publish(results, LATER, run_id=f"{RUN}-set1")
    assert late_records(results) == [other]
