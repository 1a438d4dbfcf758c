"""Blocks of several GPUs when a GPU is lost, or when the run is ended."""

import copy
import json
import os
import signal
from pathlib import Path

import pytest

from llm_energy.results.result import read_result
from tests.integration.gpus import powered_tree
from tests.integration.test_parallel import AT_ONCE, PARALLEL, by_cycle, gpus
from tests.integration.workflow import PATIENCE_S, finished, wait_for, wait_until_gone
from tests.nvml_simulator.fixtures import nvml_library

__all__ = ["nvml_library"]

pytestmark = pytest.mark.integration


@pytest.fixture
def on_two(tmp_path, nvml_library, monkeypatch):
    """Call it with a campaign: (tree, truth) with two GPUs."""

    def make(campaign):
        return powered_tree(campaign, gpus(), tmp_path, nvml_library, monkeypatch, apart=True)

    return make


def uuids_by_cycle(tree):
    return {
        cycle: {uuid for result in results for uuid in result.environment.device_uuids}
        for cycle, results in by_cycle(tree).items()
    }


def test_the_blocks_of_a_lost_gpu_go_on_on_another(on_two):
    campaign = copy.deepcopy(PARALLEL) | {"cycles": 3, "experiments": {"nap": {}}}
    tree, truth = on_two(campaign)
    first, second = (gpu.uuid for gpu in truth.gpus)
    process = tree.start("archive", *AT_ONCE)  # its report holds the events of this very run
    # The result is there before its job has ended, and the next one on that GPU has begun.
    wait_for(lambda: tree.results() or process.poll() is not None, why=tree.output())
    Path(truth.gpus[0].lost_file).touch()
    assert process.wait(timeout=PATIENCE_S) == 0, tree.output()
    assert uuids_by_cycle(tree) | {1: {first}} == {1: {first}, 2: {second}, 3: {second}}
    given_up = [event for event in tree.events() if event["kind"] == "set_given_up"]
    assert [(event["devices"], event["reason"]) for event in given_up] == [(first, "gpu_lost")]
    assert {failure["reason"] for failure in tree.failures()} == {"gpu_lost"}
    assert "was given up" in (tree.folder / "results/nap/report.html").read_text()


@pytest.mark.parametrize(
    "ending", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.long)]
)
def test_a_run_that_is_ended_leaves_nothing_and_its_blocks_go_on_on_their_gpus(on_two, ending):
    tree, truth = on_two(PARALLEL)
    process = tree.start("measurements", *AT_ONCE)
    wait_for(lambda: finished(tree.output()) or process.poll() is not None, why=tree.output())
    os.killpg(process.pid, ending)
    assert process.wait(timeout=PATIENCE_S) != 0
    wait_until_gone(tree.processes)
    wait_until_gone(tree.runs)
    kept = {path: path.read_bytes() for path in tree.results()}
    assert 0 < len(kept) < 4
    before = {json.loads(text)["environment"]["session_id"] for text in kept.values()}
    tree.run("measurements", *AT_ONCE, check=True)
    assert len(tree.results()) == 4
    assert all(path.read_bytes() == text for path, text in kept.items())
    first, second = (gpu.uuid for gpu in truth.gpus)
    assert uuids_by_cycle(tree) == {1: {first}, 2: {second}}
    new = [read_result(path) for path in tree.results() if path not in kept]
    assert before.isdisjoint({result.environment.session_id for result in new})
