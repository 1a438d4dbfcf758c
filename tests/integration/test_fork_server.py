"""Measurements in processes that the run's fork server forks: what it has loaded, and its loss."""

import copy
import os
import signal

import pytest

from llm_energy.system import locks
from tests.integration.faults import found
from tests.integration.workflow import CAMPAIGN, PATIENCE_S, Tree, finished, wait_for

pytestmark = pytest.mark.integration


def start_measuring(tree: Tree):
    """Start measurements of about half a second; returns once one is finished."""
    campaign = copy.deepcopy(CAMPAIGN)
    campaign["measurement"] |= {"minimum_duration_s": 0.5, "baseline_s": 0.2}
    tree.write_campaign(campaign)
    process = tree.start("measurements")
    wait_for(lambda: finished(tree.output()) or process.poll() is not None, why=tree.output())
    return process


def test_code_that_changes_while_a_campaign_runs_measures_nothing_more(ready):
    code = ready.folder / "scripts/llm_energy/power/integration.py"
    process = start_measuring(ready)
    code.write_text(code.read_text() + "# changed\n")
    assert process.wait(timeout=PATIENCE_S) == 1
    failures = ready.failures()
    assert {failure["reason"] for failure in failures} == {"code_changed"}
    assert len(ready.results()) + len(failures) == 4
    assert len(ready.measured()) == len(failures)


def test_without_its_fork_server_a_campaign_goes_on(ready):
    process = start_measuring(ready)
    with locks.devices(["cpu"]):  # so that the next measurement waits, and cannot end in time
        wait_for(lambda: "Waiting for cpu" in ready.output(), why="no measurement waits")
        (run,) = ready.runs()
        server, job = found(ready, "fork server")
        os.kill(server, signal.SIGKILL)
        wait_for(lambda: job not in found(ready, "fork server"), why="the job lives on")
    assert process.wait(timeout=PATIENCE_S) == 1, ready.output()
    assert ready.output().count("the run's fork server ended, and this job with it") == 1
    assert not run.exists()
    assert len(ready.results()) == 3
    assert len(ready.measured()) == 1
