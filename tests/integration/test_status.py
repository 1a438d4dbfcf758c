"""Another terminal asks how far a run is, and the run does not notice."""

import copy
import json
import os
import pwd
import signal
import subprocess

import pytest

from llm_energy.system import locks
from tests.integration.workflow import CAMPAIGN, PATIENCE_S, wait_for

pytestmark = pytest.mark.integration


def campaign():
    """One measurement that ends at once, and one that is still loading whenever one looks."""
    changed = copy.deepcopy(CAMPAIGN) | {"cycles": 1, "order": "sequential"}
    changed["experiments"] = {
        "nap": {},
        "coma": {"settings": {"engine": {"sleep": {"load_s": 600.0}}}},
    }
    return changed


def test_a_run_is_looked_at_without_disturbing_it(ready):
    tree = ready
    tree.write_campaign(campaign())
    before = tree.run("status", check=True).stdout
    assert "Campaign nap: 2 measurements: 2 pending; about 0.5 s left" in before
    by_rule = tree.run("status", "--nocolor", check=True).stdout
    assert before.splitlines()[1:] == by_rule.splitlines()[1 : len(before.splitlines())]
    assert not (tree.folder / "results/nap").exists()
    assert tree.runs() == []

    process = tree.start("measurements")
    try:
        measuring = ".cache/runs/*/measuring.json"
        coma = tree.campaign().experiment("coma").spec_hash
        wait_for(
            lambda: any(coma in path.read_text() for path in tree.folder.glob(measuring)),
            why=tree.output(),
        )
        during = tree.run("status", check=True).stdout
        assert "Campaign nap: 2 measurements: 1 done, 1 running; about " in during
        assert "Running: coma cycle 1, for " in during
        state = (tree.folder / "results/nap/status.prom").read_text()
        assert 'llm_energy_measurements{campaign="nap",state="running"} 1\n' in state
        assert 'llm_energy_measurements{campaign="nap",state="done"} 1\n' in state
        assert 'llm_energy_backend_healthy{campaign="nap",backend="sleep"} 1.0\n' in state
        command = tree.command("status", "--config", "status=json")
        printed = subprocess.run(command, cwd=tree.folder, stdout=subprocess.PIPE, check=True)
        content = json.loads(printed.stdout)
        assert content["measurements"] == {"done": 1, "failed": 0, "running": 1, "pending": 0}
        assert [row["status"] for row in content["rows"]] == ["done", "running"]
        assert content["last"]["experiment"] == "nap"
        assert len((tree.folder / "results/nap/campaign.tsv").read_text().splitlines()) == 3
        assert process.poll() is None
        assert len(tree.runs()) == 1
        assert tree.backend()["name"] == "sleep"
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(timeout=PATIENCE_S)
    rows = (tree.folder / "results/nap/campaign.tsv").read_text().splitlines()
    assert [row.split("\t")[5] for row in rows[1:]] == ["done", "pending"]
    state = (tree.folder / "results/nap/status.prom").read_text()
    assert 'llm_energy_measurements{campaign="nap",state="running"} 0\n' in state
    assert 'llm_energy_run_active{campaign="nap"} 0.0\n' in state


def test_who_waits_for_the_device_says_so_at_once(ready):
    tree = ready
    with locks.devices(["cpu"]):
        process = tree.start("measurements")
        try:
            waiting = "Waiting for cpu, used by process "
            wait_for(lambda: waiting in tree.output(), why=tree.output())
            user = f"process {os.getpid()} of {pwd.getpwuid(os.getuid()).pw_name}"
            assert f"Waiting for cpu, used by {user}\n" in tree.output()
            assert f"; waits for cpu, used by {user}\n" in tree.run("status", check=True).stdout
        finally:
            os.killpg(process.pid, signal.SIGINT)
            process.wait(timeout=PATIENCE_S)
