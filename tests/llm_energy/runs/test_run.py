"""A run's record: everything it owns can be found by whoever cleans up."""

import json
import os
import tempfile
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest
from tests.disks import small_disk

from llm_energy.analysis.side_records import snakemake_versions
from llm_energy.backends.watchdog import PERIOD_S
from llm_energy.runs.lease import LEASE_S
from llm_energy.runs.run import (
    JOB_VARIABLE,
    MEASURING_CODE,
    RUN_VARIABLE,
    Run,
    code_digest,
)
from llm_energy.runs.run_parts import create_part
from worker.child import GONE_STEP_S, GONE_STEPS
from worker.supervisor import LEASE_PERIOD_S


@pytest.fixture
def scripts(tmp_path):
    folder = tmp_path / "scripts"
    for part in MEASURING_CODE:
        name = part if part.endswith(".py") else f"{part}/x.py"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"# {name}\n")
    return folder


@pytest.fixture
def run(tmp_path, scripts, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = Run.create(campaign="nap", results=Path("results/nap"), scripts=scripts)
    yield run
    if run in Run.all():
        run.remove()


def test_a_new_run_is_owned_by_this_process_and_found_again(run):
    assert run.record.owner.alive()
    assert [other.run_id for other in Run.all()] == [run.run_id]


def test_its_lease_is_in_the_future_on_the_monotonic_clock(run):
    expiry = float(run.lease.read_text())
    assert 0 < expiry - time.monotonic() <= LEASE_S


def test_a_server_is_gone_in_40_s_even_if_nobody_ends_its_run():
    """The watchdog sees the end of its run sooner; this is the bound if it was killed too."""
    killed_group_s = GONE_STEP_S * GONE_STEPS
    assert PERIOD_S < LEASE_S  # a lease never runs out under a living watchdog
    assert LEASE_S + LEASE_PERIOD_S + killed_group_s <= 40.0


def test_jobs_find_their_run_in_the_environment(run, monkeypatch):
    assert Run.current() is None
    monkeypatch.setenv(RUN_VARIABLE, str(run.folder))
    assert Run.current() == run


def test_jobs_of_an_allocation_find_its_run_before_that_of_the_invocation(
    run, scripts, monkeypatch
):
    monkeypatch.setenv(RUN_VARIABLE, str(run.folder))
    monkeypatch.setenv(JOB_VARIABLE, "7")
    assert Run.current() == run  # the whole workflow in one allocation has no other
    run.write("plan", [])
    own = create_part(run, "job7", scripts=scripts, job="7")
    assert own.run_id == f"{run.run_id}-job7"
    assert (Run.current(), Run.of_invocation()) == (own, run)
    own.remove()


def test_on_another_host_it_lives_while_its_lease_is_renewed(run):
    record = run.record
    elsewhere = replace(record.host_facts, host="elsewhere")
    dead = replace(record.owner, pid=0)
    run.write("run", replace(record, host_facts=elsewhere, owner=dead))
    assert run.alive()
    long_ago = time.time() - 2 * LEASE_S
    os.utime(run.lease, (long_ago, long_ago))
    assert not run.alive()


def test_results_have_its_record_from_its_start(run):
    """Its own folder lies in `.cache`, which may be deleted after it was killed."""
    kept = json.loads(Path(f"results/nap/runs/{run.run_id}.json").read_text())
    assert (kept["run_id"], kept["ended"]) == (run.run_id, None)


def test_it_adds_to_the_results_where_its_folder_was_moved_to(run, tmp_path):
    moved = tmp_path / "moved"
    moved.mkdir()
    (tmp_path / ".cache").rename(moved / ".cache")
    there = Run(moved / run.folder.relative_to(tmp_path))
    there.publish(ended=None)
    assert (moved / f"results/nap/runs/{run.run_id}.json").exists()
    there.remove()


def test_its_record_stays_with_the_results(run):
    run.add_event("backend_replaced", backend="sleep")
    run.publish(ended="2026-01-01T00:00:00.000+00:00")
    kept = json.loads(Path(f"results/nap/runs/{run.run_id}.json").read_text())
    assert (kept["campaign"], kept["ended"]) == ("nap", "2026-01-01T00:00:00.000+00:00")
    assert snakemake_versions(Path("results/nap")) == [version("snakemake")]
    assert [event["kind"] for event in kept["events"]] == ["backend_replaced"]


def test_nothing_is_left_of_a_run_that_finds_no_room(tmp_path, scripts, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made, make = [], tempfile.mkdtemp
    monkeypatch.setattr(tempfile, "mkdtemp", lambda **how: made.append(make(**how)) or made[-1])
    with small_disk(tmp_path / ".cache") as disk:
        disk.fill()
        with pytest.raises(OSError, match="No space left"):
            Run.create(campaign="nap", results=Path("results/nap"), scripts=scripts)
        assert list(Path(".cache").glob("runs/*")) == []
    assert [Path(folder).exists() for folder in made] == [False]


def test_nothing_is_left_of_a_removed_run(run):
    sockets = Path(run.record.sockets)
    assert sockets.is_dir()
    run.remove()
    assert not sockets.exists()
    assert Run.all() == []


def test_the_code_digest_goes_by_content_not_by_time(scripts):
    before = code_digest(scripts)
    (scripts / "worker/x.py").touch()
    assert code_digest(scripts) == before
    (scripts / "worker/x.py").write_text("# changed\n")
    assert code_digest(scripts) != before
