"""The state of a campaign by the records of its runs."""

from pathlib import Path

from llm_energy.backends.run_status import living_runs, recoveries_of
from llm_energy.backends.runtime import SCRIPTS
from llm_energy.runs.run import Run, utc_now
from llm_energy.runs.run_parts import publish_runs

RESULTS = Path("results/nap")


def test_an_event_counts_once_while_its_run_goes_on_and_later(tmp_path, monkeypatch):
    """Also after the report of the run, for which its events are published."""
    monkeypatch.chdir(tmp_path)
    run = Run.create(campaign="nap", results=RESULTS, scripts=SCRIPTS)
    run.add_event("backend_restarted", backend="nap", reason="gone")
    assert recoveries_of(RESULTS, living_runs(RESULTS)) == {"backend_restarted": 1}
    publish_runs(RESULTS)
    assert recoveries_of(RESULTS, living_runs(RESULTS)) == {"backend_restarted": 1}
    run.publish(ended=utc_now())
    run.remove()
    assert recoveries_of(RESULTS, living_runs(RESULTS)) == {"backend_restarted": 1}
