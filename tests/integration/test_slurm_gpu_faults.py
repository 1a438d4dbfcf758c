"""Faults of one set of GPUs inside an allocation of a real Slurm, and ends of the whole allocation.

As in test_slurm_gpus: Slurm counts device files of another device, the GPUs are simulated. One
allocation measures two cycles at the same time, each on one GPU.
"""

import json
import os
import signal
from pathlib import Path

import pytest

from llm_energy.results.result import read_result
from tests.integration.gpus import powered_tree
from tests.integration.test_parallel import PARALLEL, by_cycle, gpus
from tests.integration.test_parallel_faults import uuids_by_cycle
from tests.integration.test_slurm_gpus import cluster, job, on_two_gpus, python
from tests.integration.test_slurm_spread import Head, contents, nothing_is_left
from tests.integration.workflow import PATIENCE_S, wait_for, wait_until_gone
from tests.nvml_simulator.fixtures import nvml_library

__all__ = ["cluster", "nvml_library", "python"]

pytestmark = [pytest.mark.integration, pytest.mark.long]

CAMPAIGN = PARALLEL | {"experiments": {"nap": {"axes": {"batch_size": [1, 2, 4]}}}}
"""Two cycles of three experiments: one allocation."""

UNLUCKY = """

class Unlucky(ENGINE):
    def load(self, config):
        import os, signal, time
        if os.path.exists("{folder}/unlucky-" + os.environ["CUDA_VISIBLE_DEVICES"]):
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(3600)
        return super().load(config)


ENGINE = Unlucky
"""
"""Ends its supervisor whenever it loads on a GPU of which there is such a file."""


@pytest.fixture
def head(cluster, python, tmp_path, nvml_library, monkeypatch):
    """The workflow on the head, with GPUs of its own, of which none has failed."""
    tree, truth = powered_tree(CAMPAIGN, gpus(), tmp_path, nvml_library, monkeypatch, apart=True)
    with (tree.folder / "scripts/worker/engines/sleep.py").open("a") as adapter:
        adapter.write(UNLUCKY.format(folder=tmp_path))
    on_two_gpus(cluster, tree)
    head = Head(cluster, python, tree)
    head.truth = truth
    yield head
    head.end()


def begun(head):
    """The command, which measures: there is a first result."""
    running = head.start("measurements")
    wait_for(lambda: head.tree.results() or running.poll() is not None, why=head.tree.output())
    return running


def events(head):
    kinds = ("set_given_up", "backend_given_up")
    return [
        (event["kind"], event.get("devices"), event["reason"])
        for event in head.tree.events()
        if event["kind"] in kinds
    ]


def test_the_blocks_of_a_lost_gpu_go_on_on_the_other_gpu_of_the_allocation(head):
    first, second = (gpu.uuid for gpu in head.truth.gpus)
    running = head.start("measurements")
    cycle_1 = lambda: by_cycle(head.tree).get(1) or running.poll() is not None  # noqa: E731
    wait_for(cycle_1, why=head.tree.output())
    Path(head.truth.gpus[0].lost_file).touch()
    assert running.wait(timeout=PATIENCE_S) == 0, head.tree.output()
    assert len(head.tree.results()) == 6
    assert uuids_by_cycle(head.tree) == {1: {first, second}, 2: {second}}
    assert events(head) == [("set_given_up", first, "gpu_lost")]
    assert {failure["reason"] for failure in head.tree.failures()} == {"gpu_lost"}
    nothing_is_left(head.tree)


def test_a_set_on_which_the_backend_fails_six_times_in_a_row_is_given_up(head, tmp_path):
    first, second = (gpu.uuid for gpu in head.truth.gpus)
    (tmp_path / f"unlucky-{first}").touch()
    status, output = head.run("measurements")
    assert status != 0  # the first measurement of the set had no attempt left before that
    assert set(events(head)) == {
        ("backend_given_up", None, "backend_lost"),
        ("set_given_up", first, "backend_lost"),
    }
    assert uuids_by_cycle(head.tree) == {1: {second}, 2: {second}}, output
    assert len(head.tree.results()) == 5
    assert [failure["reason"] for failure in head.tree.failures()] == ["backend_lost"] * 6
    nothing_is_left(head.tree)
    (tmp_path / f"unlucky-{first}").unlink()
    status, output = head.run("measurements")
    assert status == 0, output
    assert len(head.tree.results()) == 6
    nothing_is_left(head.tree)


def test_a_backend_that_is_killed_on_one_set_is_replaced_and_the_other_set_goes_on(head):
    first, second = (gpu.uuid for gpu in head.truth.gpus)
    running = begun(head)
    (record,) = head.tree.folder.glob(".cache/runs/*-set1/backends/sleep.json")
    os.kill(json.loads(record.read_text())["handle"]["process"]["pid"], signal.SIGKILL)
    assert running.wait(timeout=PATIENCE_S) == 0, head.tree.output()
    assert len(head.tree.results()) == 6
    assert uuids_by_cycle(head.tree) == {1: {first}, 2: {second}}
    assert {(failure["cycle"]) for failure in head.tree.failures()} <= {1}
    replaced = {"backend_recreated", "backend_replaced", "backend_restarted"}
    assert replaced & {event["kind"] for event in head.tree.events()}
    assert events(head) == []
    nothing_is_left(head.tree)


@pytest.mark.parametrize("end", ["scancel", "ctrl-c", "sigkill"])
def test_an_allocation_that_is_ended_takes_all_its_sets_along_and_its_blocks_go_on(
    cluster, head, end
):
    running = begun(head)
    if end == "scancel":
        (id_, _) = job(read_result(head.tree.results()[0]))
        cluster.ask("scancel", id_)
    else:
        os.killpg(running.pid, signal.SIGINT if end == "ctrl-c" else signal.SIGKILL)
    assert running.wait(timeout=PATIENCE_S) != 0
    if end != "sigkill":
        wait_until_gone(head.tree.processes)
        wait_until_gone(head.tree.runs)
    kept = contents(head.tree)
    status, output = head.run("measurements")
    assert status == 0, output
    results = contents(head.tree)
    assert len(results) == 6
    assert kept.items() <= results.items()
    first, second = (gpu.uuid for gpu in head.truth.gpus)
    assert uuids_by_cycle(head.tree) == {1: {first}, 2: {second}}
    nothing_is_left(head.tree)
