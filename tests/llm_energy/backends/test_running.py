"""A run whose records are damaged ends too, with all that carries its mark."""

import json
import os
import subprocess
import time
from pathlib import Path

import pytest
from tests import damaged
from tests.conftest import ROOT

from llm_energy.backends.running import end_run, reap_dead_runs
from llm_energy.backends.runtime import ContainerSettings, DeclaredBackend
from llm_energy.campaign.backend_settings import Container
from llm_energy.runs.run import Run
from llm_energy.system.processes import ProcessId
from llm_energy.system.vocabulary import PROCESS
from worker.orphans import RUN_MARK, marked

HARMS = (damaged.folder, damaged.empty, damaged.cut_short)


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = Run.create(campaign="nap", results=Path("results/nap"), scripts=ROOT / "scripts")
    container = ContainerSettings(**Container().model_dump())
    run.write("declared/nap", DeclaredBackend("nap", PROCESS, "nap", container, readable=()))
    return run


@pytest.mark.parametrize("harm", HARMS, ids=lambda harm: harm.__name__)
@pytest.mark.parametrize("name", ["watchdog", "backends/sleep", "declared/sleep"])
def test_a_run_with_a_damaged_record_ends_with_what_it_marked(run, name, harm):
    process = subprocess.Popen(["sleep", "600"], env=os.environ | {RUN_MARK: run.run_id})
    while not marked(RUN_MARK, run.run_id):  # the kernel shows its environment some time later
        time.sleep(0.01)
    damaged.replace(run.folder / f"{name}.json", harm)
    run.add_event("backend_lost", backend="sleep", reason="gone")
    with (run.folder / "events.jsonl").open("a") as file:
        file.write('{"kind": "cut sh')
    end_run(run)
    assert process.wait(timeout=60) == -9
    assert not run.folder.exists()
    (record,) = Path("results/nap/runs").glob("*.json")
    content = json.loads(record.read_text())
    assert content["ended"]
    assert [event["kind"] for event in content["events"]] == ["backend_lost"]


def test_a_run_ends_whose_parts_cannot_be_known(run):
    """They have an owner of their own, and end when the next run begins."""
    damaged.replace(run.folder / "spread.json", damaged.cut_short)
    end_run(run)
    assert not run.folder.exists()


def test_the_dead_run_of_a_damaged_record_stops_no_start(run):
    """A run whose owner cannot be read is left alone; all of one whose owner is dead is removed."""
    record = run.record
    gone = ProcessId(pid=record.owner.pid, start_ticks=1, boot=record.owner.boot)
    run.write("run", json.loads(json.dumps(record, default=vars)) | {"owner": vars(gone)})
    damaged.replace(run.folder / "backends/sleep.json", damaged.cut_short)
    unknown = run.part("unknown")
    damaged.replace(unknown.folder / "run.json", damaged.folder)
    assert reap_dead_runs() == [run.run_id]
    assert [left.run_id for left in Run.all()] == [unknown.run_id]
    kept = json.loads(Path(f"results/nap/runs/{run.run_id}.json").read_text())
    assert kept["ended"] is None  # nobody saw when it died
