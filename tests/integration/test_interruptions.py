"""A run that is killed, ended or doubled: nothing is lost, nothing is left, the same command goes
on."""

import copy
import json
import os
import signal
from contextlib import ExitStack

import pytest

from llm_energy.runs.run import utc_now
from llm_energy.runs.run_records import RunRecord
from llm_energy.system import locks
from llm_energy.system.host import HostDescription
from llm_energy.system.processes import ProcessId
from tests.integration.workflow import CAMPAIGN, PATIENCE_S, finished, wait_for

pytestmark = pytest.mark.integration


def slow_campaign():
    """Measurements of about half a second, so that a signal falls into one."""
    campaign = copy.deepcopy(CAMPAIGN)
    campaign["measurement"] |= {"minimum_duration_s": 0.5, "baseline_s": 0.2}
    return campaign


@pytest.fixture
def running(ready):
    """A workflow that has finished one measurement and is in the next."""
    tree = ready
    tree.write_campaign(slow_campaign())
    process = tree.start("measurements")
    wait_for(lambda: finished(tree.output()) or process.poll() is not None, why=tree.output())
    assert process.poll() is None, tree.output()
    yield tree, process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture
def waiting(ready):
    """A workflow whose first measurement waits until the test gives back the device."""
    with ExitStack() as device:
        device.enter_context(locks.devices(["cpu"]))
        process = ready.start("measurements")
        wait_for(lambda: "Waiting for cpu" in ready.output(), why="no measurement waits")
        yield ready, process, device
    process.wait(timeout=PATIENCE_S)


def watchdog_of(tree):
    return json.loads((tree.runs()[0].parent / "watchdog.json").read_text())["pid"]


def test_a_watchdog_that_was_killed_is_replaced(running):
    tree, process = running
    first = watchdog_of(tree)
    os.kill(first, signal.SIGKILL)
    assert process.wait(timeout=PATIENCE_S) == 0, tree.output()
    assert len(tree.results()) == 4
    assert tree.processes() == []


def test_a_supervisor_that_was_killed_costs_an_attempt_and_nothing_else(running):
    tree, process = running
    record = json.loads((tree.runs()[0].parent / "backends" / "sleep.json").read_text())
    os.kill(record["handle"]["process"]["pid"], signal.SIGKILL)
    assert process.wait(timeout=PATIENCE_S) == 0, tree.output()
    assert len(tree.results()) == 4
    assert tree.processes() == []


def test_a_backend_that_fails_again_and_again_is_given_up_while_others_go_on(ready):
    campaign = copy.deepcopy(CAMPAIGN)
    campaign["cycles"] = 3
    campaign["backends"] = {"sleep": {}, "traitor": {}}
    campaign["experiments"]["nap"] = {"axes": {"backend": ["sleep", "traitor"]}}
    campaign["defaults"]["engine"] = {"traitor": {"wave_fault": "betray"}}
    tree = ready
    tree.add_backend("traitor")
    tree.write_campaign(campaign)
    done = tree.run("measurements")
    assert done.returncode != 0
    assert {tree.named(path)[0] for path in tree.results()} == {"nap_sleep"}
    assert len(tree.results()) == 3
    # Two measurements with all their attempts, then none.
    reasons = [failure["reason"] for failure in tree.failures()]
    assert sorted(reasons) == ["backend_broken", *["backend_lost"] * 6]
    assert "backend `traitor` failed 6 times in a row" in done.stdout
    assert "backend_given_up" in {event["kind"] for event in tree.events()}
    assert tree.processes() == []


def test_a_campaign_is_measured_by_one_run_at_a_time(waiting):
    tree, process, device = waiting
    message = tree.refusal()
    device.close()
    assert f"campaign `nap` is being measured by process {process.pid}" in message
    assert process.wait(timeout=PATIENCE_S) == 0, tree.output()
    assert len(tree.results()) == 4


def test_a_campaign_that_another_host_measures_is_left_to_it(fresh):
    record = fresh.folder / ".cache/runs/theirs/run.json"
    record.parent.mkdir(parents=True)
    theirs = RunRecord(
        run_id="theirs",
        campaign="nap",
        results=str(fresh.folder / "results/nap"),
        host_facts=HostDescription("elsewhere", "Synthetic CPU", "6.0", None, None),
        owner=ProcessId(pid=1, start_ticks=0, boot="theirs"),
        code_digest="0" * 64,
        started=utc_now(),
        sockets="/tmp/llm-energy-theirs",
    )
    record.write_text(json.dumps(theirs, default=vars))
    assert "campaign `nap` is being measured from elsewhere; end it there" in fresh.refusal()
    assert record.exists()
    assert fresh.results() == []


def test_looking_does_not_disturb_a_run(waiting):
    tree, process, device = waiting
    assert tree.planned() == 4
    assert "nap_batch1" in tree.run("plan", check=True).stdout
    device.close()
    assert process.wait(timeout=PATIENCE_S) == 0, tree.output()
    assert len(tree.results()) == 4
    assert tree.processes() == []


def test_code_that_changes_under_a_run_stops_it(running):
    tree, process = running
    path = tree.folder / "scripts" / "worker" / "supervisor.py"
    path.write_text(path.read_text() + "\n# changed under the run\n")
    assert process.wait(timeout=PATIENCE_S) != 0
    assert "the measuring code was changed while the campaign runs" in tree.output()
    assert len(tree.measured()) == 4 - len(finished(tree.output()))
