"""Two clones of the workflow whose campaigns follow each other on a GPU that they share."""

import os
import signal
from dataclasses import replace

import pytest

from llm_energy.results.result import read_result
from llm_energy.system import locks
from tests.integration.gpus import powered_tree
from tests.integration.test_parallel import AT_ONCE, PARALLEL
from tests.integration.workflow import PATIENCE_S, Tree, finished, wait_for, wait_until_gone
from tests.nvml_simulator.fixtures import nvml_library
from tests.nvml_simulator.scenario import Gpu, Scenario, constant, settings_of, with_uuid

__all__ = ["nvml_library"]

pytestmark = [pytest.mark.integration, pytest.mark.long]

BOARD = Gpu(knots=constant(500.0), counter_update_s=0.0, thermal_s=0.5)


@pytest.fixture
def clones(tmp_path, nvml_library, monkeypatch):
    """(clone, other clone, truth): one measures on the first two of three GPUs, the other one on
    the last two."""
    gpus = [with_uuid(BOARD, number) for number in (1, 2, 3)]
    small = PARALLEL | {"experiments": {"nap": {}}}
    tree, truth = powered_tree(small, gpus, tmp_path, nvml_library, monkeypatch, apart=True)
    uuids = [gpu.uuid for gpu in truth.gpus]
    other = tree.copy(tmp_path / "other", small | {"parallel": {"devices": uuids[1:]}})
    tree.write_campaign(small | {"parallel": {"devices": uuids[:2]}})
    return tree, other, truth


def both_started(tree: Tree, other: Tree, truth: Scenario):
    """Start both campaigns; returns their processes once the second one waits for the first.

    That cannot end before, since the test holds one of its GPUs for a measurement.
    """
    with locks.devices([truth.gpus[0].uuid]):
        assert "Waiting" not in other.run("status", check=True).stdout
        first = tree.start("measurements", *AT_ONCE)
        wait_for(lambda: tree.runs() or first.poll() is not None, why=tree.output())
        second = other.start("measurements", *AT_ONCE)
        line = f"Waiting for {truth.gpus[1].uuid}, used by the run of process {first.pid} of "
        wait_for(lambda: line in other.output() or second.poll() is not None, why=other.output())
        assert line in other.run("status", check=True).stdout
        printed = other.run("status", "--config", "status=json", check=True).stdout
        assert f'"{line.removeprefix("Waiting for ")}' in printed.partition('"waits_for": [')[2]
    assert other.output().count(line) == 1
    assert other.runs() == []
    return first, second


def spans(tree: Tree):
    """(first, last moment) of each measurement, by GPU."""
    found = {}
    for result in map(read_result, tree.results()):
        (uuid,) = result.environment.device_uuids
        phases = result.phases
        found[uuid] = (phases[0].start_monotonic_s, phases[-1].end_monotonic_s)
    return found


def test_the_second_campaign_waits_for_the_first_one_and_both_complete(clones):
    tree, other, truth = clones
    first, second = both_started(tree, other, truth)
    shared = truth.gpus[1].uuid
    assert first.wait(timeout=PATIENCE_S) == 0, tree.output()
    assert second.wait(timeout=PATIENCE_S) == 0, other.output()
    before, after = spans(tree), spans(other)
    assert [set(each) for each in (before, after)] == [
        {gpu.uuid for gpu in gpus} for gpus in (truth.gpus[:2], truth.gpus[1:])
    ]
    assert before[shared][1] < after[shared][0]
    assert "Waiting" not in other.run("status", check=True).stdout
    for clone in (tree, other):
        assert clone.failures() == []
        codes = {flag.code for path in clone.results() for flag in read_result(path).flags}
        assert codes.isdisjoint({"contended", "gpu_use_unknown"})


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
def test_whatever_ends_the_first_campaign_the_second_goes_on(clones, ending):
    tree, other, truth = clones
    first, second = both_started(tree, other, truth)
    os.killpg(first.pid, ending)
    assert first.wait(timeout=PATIENCE_S) != 0
    assert second.wait(timeout=PATIENCE_S) == 0, other.output()
    assert len(other.results()) == 2


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_a_campaign_that_waits_can_be_ended(clones, ending):
    tree, other, truth = clones
    first, second = both_started(tree, other, truth)
    os.killpg(second.pid, ending)
    assert second.wait(timeout=PATIENCE_S) != 0
    assert "Traceback" not in other.output()
    wait_until_gone(other.processes)
    assert first.wait(timeout=PATIENCE_S) == 0, tree.output()
    assert len(finished(other.run("measurements", *AT_ONCE, check=True).stdout)) == 2


def limit_watts(gpu: Gpu):
    return settings_of(gpu, 0.0)[-1][1]


def test_campaigns_that_set_different_gpus_run_at_once_and_each_gpu_comes_back(
    tmp_path, nvml_library, monkeypatch
):
    monkeypatch.setenv("GPU_CONTROL_RECORDS", str(tmp_path / "records"))
    gpus = [
        replace(with_uuid(BOARD, n), limit_watts=650.0, settings_file=tmp_path / f"settings{n}")
        for n in (1, 2)
    ]
    limited = {"nap": {"settings": {"gpu": {"power_limit_watts": {"of_default": 0.5}}}}}
    small = PARALLEL | {"experiments": limited, "cycles": 1}
    endless = small | {"measurement": PARALLEL["measurement"] | {"minimum_duration_s": 600.0}}
    tree, truth = powered_tree(endless, gpus, tmp_path, nvml_library, monkeypatch, apart=True)
    first, second = truth.gpus
    other = tree.copy(tmp_path / "other", small | {"parallel": {"devices": [second.uuid]}})
    tree.write_campaign(endless | {"parallel": {"devices": [first.uuid]}})
    process = tree.start("measurements")
    wait_for(lambda: limit_watts(first) == 350.0 or process.poll() is not None, why=tree.output())
    other.run("measurements", check=True)
    (result,) = map(read_result, other.results())
    assert result.environment.gpu_set.power_limit_watts == 350.0
    assert process.poll() is None, tree.output()
    assert [limit_watts(gpu) for gpu in truth.gpus] == [350.0, 650.0]
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=PATIENCE_S)
    wait_for(lambda: limit_watts(first) == 650.0)
    wait_until_gone(tree.processes)
    assert not list((tmp_path / "records").glob("*.json"))
