"""The time that a run expects its measurements to take, at its start."""

import json

import pytest
from tests.llm_energy.make_campaigns import load, make_checkout

from llm_energy.backends.runtime import SCRIPTS
from llm_energy.runs.progress import progress_of
from llm_energy.runs.run_records import PlanEntry
from llm_energy.workflow.run_entry import enter_run

TIMES = {"started": "2026-01-01T00:00:00Z", "finished": "2026-01-01T00:00:22Z"}


def test_an_experiment_that_was_not_measured_takes_as_much_longer_as_those_that_were(
    tmp_path, monkeypatch
):
    """Phases of 11 s took 22 s: twice as long, and not twice those 22 s again."""
    monkeypatch.chdir(tmp_path)
    campaign, results = load(make_checkout(tmp_path / "checkout")), tmp_path / "results/trial"
    done, *rest = campaign.schedule
    path = results / done.result_path
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(TIMES))
    run = enter_run(
        campaign,
        rest,
        campaign.experiments,
        results=results,
        scripts=SCRIPTS,
        undecided=(),
    )
    plan = run.read("plan", tuple[PlanEntry, ...])
    left_s = progress_of(run, results=results, whole_plan=plan).left_s
    assert left_s == pytest.approx(len(rest) * 22)
