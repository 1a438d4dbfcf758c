"""Where a campaign stands is told from its files, whatever of them there is."""

import csv
import json
import os
import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from tests.llm_energy.make_campaigns import load, make_checkout

from llm_energy.backends.runtime import SCRIPTS
from llm_energy.results.failures import write_failure
from llm_energy.runs.concurrency import Concurrency
from llm_energy.runs.progress import note_start
from llm_energy.runs.run import Run
from llm_energy.runs.run_parts import create_part
from llm_energy.runs.run_records import Measuring, Spread
from llm_energy.workflow import status_output
from llm_energy.workflow.status import (
    Standing,
    as_text,
    left_s,
    standings,
    write_manifest,
)


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path / "results"


@pytest.fixture
def campaign(tmp_path):
    """Four experiments × two cycles; a measurement takes at least 11 s."""
    return load(make_checkout(tmp_path / "checkout"))


def measure(results, planned, *, status="completed"):
    path = results / planned.result_path
    path.parent.mkdir(parents=True, exist_ok=True)
    times = {"started": "2026-01-01T00:00:00Z", "finished": "2026-01-01T00:00:20Z"}
    experiment = {"experiment": planned.experiment.name, "spec_hash": planned.experiment.spec_hash}
    record = times | experiment | {"cycle": planned.cycle, "status": status, "attempt": 1}
    path.write_text(json.dumps(record))


def fail(results, planned, *, attempt=1, failed="2026-01-01T00:00:05.000+00:00"):
    record = {"reason": "engine_error", "started": "2026-01-01T00:00:00Z", "failed": failed}
    write_failure(results, planned.result_path, attempt, record)


def test_before_anything_is_measured_all_is_pending_in_planned_order(campaign, results):
    rows = standings(campaign, results)
    assert [row.status for row in rows] == ["pending"] * 8
    assert [row.position for row in rows] == list(range(8))
    assert left_s(campaign, rows, now=datetime.now(UTC)) == 8 * 11
    assert not results.exists()


def test_what_takes_longer_than_expected_takes_nothing_off_the_time_of_the_others(campaign):
    planned = campaign.schedule[0]
    names = (planned.experiment.name, planned.cycle, planned.experiment.spec_hash, "")
    running = Standing(0, *names, status="running", started="2026-01-01T00:00:00+00:00")
    pending = Standing(1, *names)
    now = datetime(2026, 1, 1, 0, 0, 4, tzinfo=UTC)
    assert left_s(campaign, [running, pending], now=now) == (11 - 4) + 11
    now = datetime(2026, 1, 1, 0, 1, tzinfo=UTC)
    assert left_s(campaign, [running, pending], now=now) == 11


def test_what_is_left_of_a_spread_campaign_takes_as_long_as_its_longest_set(campaign, results):
    """One of two sets has a measurement less to do: half of the sum would be too short."""
    assert {planned.cycle for planned in campaign.schedule} == {1, 2}
    measure(results, campaign.schedule[0])
    rows = standings(campaign, results)
    now = datetime.now(UTC)
    one, both = (left_s(campaign, rows, now=now, concurrency=Concurrency(n)) for n in (1, 2))
    assert (one, both) == (pytest.approx(7 * 20), pytest.approx(4 * 20))


def test_allocations_that_measure_side_by_side_share_the_time_that_is_left(campaign, results):
    whole = Run.create(campaign="trial", results=results, scripts=SCRIPTS)
    whole.write("plan", [])
    whole.write("spread", Spread("gpu", new_device=False))
    rows = standings(campaign, results)
    assert "; about 88 s left with 1 allocation at a time\n" in as_text(campaign, results, rows)
    jobs = [create_part(whole, f"job{n}", scripts=SCRIPTS, job=str(n)) for n in (7, 8)]
    expected = "; about 44 s left with 2 allocations at a time, as now\n"
    assert expected in as_text(campaign, results, rows)
    for run in (*jobs, whole):
        run.remove()


def test_a_result_is_done_and_says_how_long_it_took(campaign, results):
    measure(results, campaign.schedule[0])
    measure(results, campaign.schedule[1], status="out_of_memory")
    first, second, *_ = standings(campaign, results)
    assert (first.status, first.reason, first.duration_s) == ("done", "", 20)
    assert (second.status, second.reason) == ("done", "out_of_memory")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"status": "completed"}', '{"started": 3}'])
def test_a_file_that_is_no_result_is_unusable(campaign, results, content):
    measure(results, campaign.schedule[0])
    (results / campaign.schedule[0].result_path).write_text(content)
    row = standings(campaign, results)[0]
    assert row.status == "unusable"
    assert row.reason.startswith("not a result")


def test_the_result_of_another_measurement_is_unusable(campaign, results):
    for planned in campaign.schedule[:2]:
        measure(results, planned)
    first, second = (results / planned.result_path for planned in campaign.schedule[:2])
    first.write_bytes(second.read_bytes())
    row, other, *_ = standings(campaign, results)
    assert (row.status, other.status) == ("unusable", "done")
    assert row.reason == "it is the result of another measurement"


def test_a_pipe_in_the_place_of_a_result_is_unusable(campaign, results):
    """Reading it would never end."""
    path = results / campaign.schedule[0].result_path
    path.parent.mkdir(parents=True)
    os.mkfifo(path)
    row, *_ = standings(campaign, results)
    assert (row.status, row.reason) == ("unusable", "no regular file")


def test_a_failure_is_reported_with_its_reason_and_last_record(campaign, results):
    for attempt in (1, 2):
        fail(results, campaign.schedule[0], attempt=attempt)
    row = standings(campaign, results)[0]
    assert (row.status, row.reason, row.attempt) == ("failed", "engine_error", 2)
    text = as_text(campaign, results, [row])
    assert f"{row.experiment} cycle 1: engine_error, see {results / row.file}" in text
    assert (results / row.file).exists()


def test_a_failure_that_later_succeeded_is_done(campaign, results):
    fail(results, campaign.schedule[0])
    measure(results, campaign.schedule[0])
    assert standings(campaign, results)[0].status == "done"


def test_a_living_run_tells_what_it_measures_and_will_try_again(campaign, results):
    fail(results, campaign.schedule[0])
    fail(results, campaign.schedule[1])
    fail(results, campaign.schedule[2], failed="2999-01-01T00:00:00Z")
    run = Run.create(campaign="trial", results=results, scripts=SCRIPTS)
    note_start(run, result=campaign.schedule[1].result_path, attempt=2)
    assert [row.status for row in standings(campaign, results)[:4]] == [
        "pending",
        "running",
        "failed",
        "pending",
    ]
    text = as_text(campaign, results, standings(campaign, results))
    running = f"Running: {campaign.schedule[1].experiment.name} cycle 1, for "
    assert re.search(rf"^{re.escape(running)}[\d.e-]+ s$", text, re.MULTILINE)
    run.remove()
    assert standings(campaign, results)[1].status == "failed"


def test_a_run_of_another_campaign_and_a_job_that_died_measure_nothing(campaign, results):
    other = Run.create(campaign="other", results=results.parent / "other", scripts=SCRIPTS)
    note_start(other, result=campaign.schedule[0].result_path, attempt=1)
    own = Run.create(campaign="trial", results=results, scripts=SCRIPTS)
    note_start(own, result=campaign.schedule[1].result_path, attempt=1)
    measuring = own.read("measuring", Measuring)
    other_process = replace(measuring.process, start_ticks=measuring.process.start_ticks + 1)
    own.write("measuring", replace(measuring, process=other_process))
    assert {row.status for row in standings(campaign, results)} == {"pending"}


def test_the_manifest_has_a_row_for_each_measurement(campaign, results):
    measure(results, campaign.schedule[0])
    fail(results, campaign.schedule[1])
    path = write_manifest(results, standings(campaign, results))
    with path.open() as file:
        rows = list(csv.DictReader(file, dialect="excel-tab"))
    assert [row["status"] for row in rows] == ["done", "failed", *["pending"] * 6]
    assert rows[0]["file"] == campaign.schedule[0].result_path
    assert rows[2]["duration_s"] == ""


def test_the_text_sums_up_and_has_a_mark_for_each_cycle(campaign, results):
    for planned in campaign.schedule[:4]:
        measure(results, planned)
    fail(results, campaign.schedule[4])
    text = as_text(campaign, results, standings(campaign, results))
    head, _, *table, legend, _, _failed = text.splitlines()
    assert head == ("Campaign trial: 8 measurements: 4 done, 1 failed, 3 pending; about 60 s left")
    assert sorted(line.split()[-1] for line in table) == ["+.", "+.", "+.", "+x"]
    assert legend == "+ done  x failed  . pending"


@pytest.mark.parametrize(("for_programs", "name"), [(False, "campaign.tsv"), (True, "status.prom")])
def test_a_folder_in_the_place_of_a_table_is_one_line_with_what_to_do(
    campaign, results, capsys, for_programs, name
):
    (results / name / "inside").mkdir(parents=True)
    status_output.show(campaign, results, for_programs=for_programs)
    error = capsys.readouterr().err
    assert error == (
        f"Not written: cannot write or read here: {results / name}: Is a directory; "
        "move away what lies there\n"
    )
