"""Campaigns that start together share their inputs: each is made once, and never taken away."""

import copy
import subprocess
import time

import pytest

from llm_energy.results import layout
from llm_energy.system import locks
from llm_energy.system.cache import environment_marker, model_marker
from tests.integration.workflow import CAMPAIGN, PATIENCE_S, Tree, wait_for

pytestmark = pytest.mark.integration

MARKERS = [".cache/[em]*/*/ready.json", ".cache/prompts/*/prompts.json"]


def test_two_runs_that_start_without_any_input_make_each_once(fresh, tmp_path):
    """Both plan to make all of them, and the second begins with the environment after the first
    has made it. Snakemake would remove that."""
    other = Tree(fresh.folder)
    other.config = fresh.folder / "config" / "doze.yaml"
    campaign = copy.deepcopy(CAMPAIGN) | {"campaign": "doze"}
    campaign["experiments"] = {"doze": {"axes": {"output_tokens": [5, 6]}}}
    other.write_campaign(campaign)
    experiment = fresh.campaign().experiments[0]
    model, environment = experiment.model.id, experiment.environment.id
    begins_with = {"nap": environment_marker(environment), "doze": model_marker(model)}
    logs = {name: tmp_path / f"{name}.log" for name in begins_with}
    lock = locks.hold(fresh.folder / ".cache/locks" / f"{model}.lock")
    assert lock is not None
    processes = []
    seen, lost = set(), set()
    try:
        for name, first in begins_with.items():
            command = fresh.command("measurements", "--prioritize", str(first))[:-1]
            with logs[name].open("wb") as output:
                processes.append(
                    subprocess.Popen(
                        [*command, f"config/{name}.yaml"],
                        cwd=fresh.folder,
                        stdout=output,
                        stderr=output,
                    )
                )
        waits = f"Waiting for {model}"
        wait_for(lambda: all(waits in log.read_text() for log in logs.values()))
        assert (fresh.folder / begins_with["nap"]).exists()
        lock.close()
        deadline = time.monotonic() + PATIENCE_S
        while any(process.poll() is None for process in processes):
            assert time.monotonic() < deadline
            there = {path for glob in MARKERS for path in fresh.folder.glob(glob)}
            lost |= seen - there
            seen |= there
            time.sleep(0.02)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    printed = [log.read_text() for log in logs.values()]
    assert lost == set()
    assert [process.returncode for process in processes] == [0, 0], printed
    # The model is a file of the user's own, which each campaign looks at.
    for rule in ("environment sleep-", "prompts sheep-"):
        made = [line for text in printed for line in text.splitlines() if line.startswith(rule)]
        assert len([line for line in made if ": ready after" in line]) == 1, made
        assert len([line for line in made if "another run has made it ready" in line]) == 1, made
    for name in begins_with:
        results = fresh.folder / "results" / name
        assert len(list(layout.files(results, "measurements"))) == 4
        assert not (results / "failures").exists()
