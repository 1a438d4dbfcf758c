"""Allocations of a real Slurm with two simulated GPUs, each spread over both of them.

Slurm counts device files of another device (`--gres`); the GPUs behind its numbers are simulated.
"""

import sys
from pathlib import Path

import pytest

from llm_energy.results.result import read_result
from tests.integration.gpus import powered_tree
from tests.integration.slurm import Cluster, python_with_plugin, require_slurm
from tests.integration.test_parallel import PARALLEL, by_cycle, gpus
from tests.integration.test_slurm import SCRIPT, ended, printed
from tests.integration.test_slurm_spread import Head, job_of, nothing_is_left
from tests.nvml_simulator.fixtures import nvml_library

__all__ = ["nvml_library"]

pytestmark = [pytest.mark.integration, pytest.mark.long]

SHORT = PARALLEL["measurement"] | {"minimum_duration_s": 10.0}
CAMPAIGN = PARALLEL | {"cycles": 4, "measurement": SHORT, "experiments": {"nap": {}}}
GPUS_OF_ALLOCATION = "\n  gpu: {} # GPUs"
"""Line of the profile."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """One node with two GPUs."""
    require_slurm()
    cluster = Cluster(tmp_path_factory.mktemp("slurm"), ("node-gpu",), gpus=2)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture(scope="module")
def powered(cluster, tmp_path_factory, nvml_library):
    """(tree, truth) with the simulated GPUs of the node, whose jobs see them too."""
    with pytest.MonkeyPatch.context() as environment:
        folder = tmp_path_factory.mktemp("gpus")
        tree, truth = powered_tree(CAMPAIGN, gpus(), folder, nvml_library, environment, apart=True)
        on_two_gpus(cluster, tree)
        yield tree, truth


def on_two_gpus(cluster, tree):
    """Let each allocation of a tree request both simulated GPUs, which its jobs see too."""
    (tree.folder / ".venv").symlink_to(Path(sys.executable).parent.parent)
    profile = tree.folder / "workflow-profile/slurm/config.yaml"
    of_one, of_two = (GPUS_OF_ALLOCATION.format(number) for number in (1, 2))
    assert of_one in profile.read_text()
    profile.write_text(profile.read_text().replace(of_one, of_two))
    cluster.inherit("LD_LIBRARY_PATH", "NVML_SIMULATOR_LOAD", "NVML_SIMULATOR_SCENARIO")


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    return python_with_plugin(tmp_path_factory.mktemp("plugin"))


@pytest.fixture(scope="module")
def head(cluster, powered, python):
    head = Head(cluster, python, powered[0])
    yield head
    head.end()


@pytest.fixture(scope="module")
def blocks(head):
    """Cycle -> its results, of a campaign that was spread over two allocations."""
    status, output = head.run("measurements")
    assert status == 0, output
    assert "Measuring 2 cycles in each allocation, each on a set of 1 GPU" in output, output
    nothing_is_left(head.tree)
    return by_cycle(head.tree)


def job(result):
    whole, _, name = result.environment.session_id.rpartition("-set")
    return job_of(whole), int(name)


def test_each_allocation_measures_two_cycles_each_on_one_of_its_gpus(powered, blocks):
    uuids = [gpu.uuid for gpu in powered[1].gpus]
    places = {cycle: job(result) for cycle, (result,) in blocks.items()}
    assert [places[cycle][1] for cycle in (1, 2, 3, 4)] == [1, 2, 1, 2]
    jobs = [places[cycle][0] for cycle in (1, 2, 3, 4)]
    assert jobs[0] == jobs[1] != jobs[2] == jobs[3]
    used = [blocks[cycle][0].environment.device_uuids for cycle in (1, 2, 3, 4)]
    assert used == [[uuids[0]], [uuids[1]]] * 2


def test_they_are_measured_at_the_same_time(blocks):
    for first, second in ((1, 2), (3, 4)):
        windows = [blocks[cycle][0].window for cycle in (first, second)]
        start, end = windows[0].start_monotonic_s, windows[0].end_monotonic_s
        assert start < windows[1].end_monotonic_s
        assert windows[1].start_monotonic_s < end


def test_their_energy_is_that_of_their_own_gpu(powered, blocks):
    truth = powered[1]
    for (result,) in blocks.values():
        (uuid,) = result.environment.device_uuids
        index = [gpu.uuid for gpu in truth.gpus].index(uuid)
        window = result.window
        true = truth.joules(index, window.start_monotonic_s, window.end_monotonic_s)
        assert result.energy.energy_joules == pytest.approx(true, rel=0.002)
        assert result.environment.shares_host


def test_slurm_gave_each_allocation_both_gpus(cluster, blocks):
    for (result,) in blocks.values():
        shown = cluster.ask("scontrol", "show", "job", job(result)[0])
        assert "gres:gpu:2" in shown


@pytest.mark.usefixtures("blocks")
def test_the_same_command_again_has_nothing_to_do(head):
    status, output = head.run("measurements")
    assert status == 0
    assert "Nothing to be done" in output


@pytest.mark.usefixtures("blocks")
def test_a_block_that_is_missing_goes_on_on_the_gpu_of_its_number(head):
    (path,) = (path for path in head.tree.results() if read_result(path).cycle == 2)
    before = read_result(path)
    path.unlink()
    status, output = head.run("measurements")
    assert status == 0, output
    after = read_result(path)
    assert after.environment.device_uuids == before.environment.device_uuids
    assert after.environment.session_id != before.environment.session_id
    nothing_is_left(head.tree)


def test_gpus_by_name_are_refused_where_allocations_have_others(powered, head):
    tree, truth = powered
    named = CAMPAIGN | {"campaign": "named", "parallel": {"devices": [truth.gpus[0].uuid]}}
    tree.write_campaign(named)
    status, output = head.run("measurements")
    tree.write_campaign(CAMPAIGN)
    assert status == 1
    assert "`parallel.devices` names GPUs of one host" in output


def test_one_allocation_measures_on_those_gpus_that_slurm_gives_it(cluster, powered):
    tree, truth = powered
    tree.write_campaign(CAMPAIGN | {"campaign": "part", "cycles": 2})
    arguments = ["measurements", "--configfile", "config/nap.yaml"]
    # An exclusive one has all GPUs of its node, however many it asks for.
    options = ["--gres=gpu:1", "--oversubscribe"]
    id_ = cluster.submit(SCRIPT, *arguments, options=options, cwd=tree.folder)
    state = ended(cluster, id_)
    tree.write_campaign(CAMPAIGN)
    assert state == "COMPLETED", printed(tree, id_)
    assert "Measuring on 1 set of GPUs" in printed(tree, id_)
    used = [read_result(path).environment.device_uuids for path in tree.results("part")]
    assert used == [[truth.gpus[0].uuid]] * 2
