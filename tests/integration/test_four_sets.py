"""Four simulated GPUs measured on at once: interrupted, killed, resumed, changed, and decided."""

import os
import re
import signal

import pytest

from llm_energy.results.result import read_result
from tests.integration.gpus import powered_tree
from tests.integration.test_parallel import PARALLEL
from tests.integration.workflow import PATIENCE_S, finished, wait_for, wait_until_gone
from tests.nvml_simulator.fixtures import nvml_library
from tests.nvml_simulator.scenario import Gpu, constant, with_uuid

__all__ = ["nvml_library"]

pytestmark = [pytest.mark.integration, pytest.mark.long]

CAMPAIGN = PARALLEL | {"cycles": 4}
MEASURE = re.compile(r"^measure +(\d+)$", re.MULTILINE)
"""A row of the table of a dry run."""
AT_ONCE = ("--cores", "4", "--resources", "gpu=4")


def changed(**changes):
    return CAMPAIGN | changes


@pytest.fixture(scope="module")
def four(tmp_path_factory, nvml_library):
    """(tree, truth) with four GPUs, in which nothing is measured."""
    gpus = [
        with_uuid(Gpu(knots=constant(500.0 + 10 * n), counter_update_s=0.0, thermal_s=0.5), n)
        for n in range(1, 5)
    ]
    with pytest.MonkeyPatch.context() as environment:
        folder = tmp_path_factory.mktemp("four")
        yield powered_tree(CAMPAIGN, gpus, folder, nvml_library, environment, apart=True)


def ended(tree, ending):
    """Measure until one more measurement is finished, end the run; (code, what is kept)."""
    process = tree.start("measurements", *AT_ONCE)
    wait_for(lambda: finished(tree.output()) or process.poll() is not None, why=tree.output())
    os.killpg(process.pid, ending)
    code = process.wait(timeout=PATIENCE_S)
    wait_until_gone(tree.processes)
    wait_until_gone(tree.runs)
    return code, contents(tree)


def contents(tree):
    return {path: path.read_bytes() for path in tree.results()}


@pytest.fixture(scope="module")
def measured(four):
    """The tree after Ctrl-C, SIGKILL and the run that finished it; with the results of each."""
    tree, _ = four
    interrupted = ended(tree, signal.SIGINT)
    killed = ended(tree, signal.SIGKILL)
    tree.run(*AT_ONCE, check=True)
    return tree, interrupted, killed, contents(tree)


def test_whatever_ends_a_run_takes_all_sets_along_and_keeps_what_is_measured(measured):
    tree, (code, first), (_, second), results = measured
    assert code != 0
    assert 0 < len(first) < len(second) < 8
    assert len(results) == 8
    assert first.items() <= second.items() <= results.items()
    assert tree.processes() == []
    assert tree.runs() == []


def test_each_block_lies_on_the_gpu_of_its_number_in_every_session(four, measured):
    _, truth = four
    for path in measured[0].results():
        result = read_result(path)
        assert result.environment.device_uuids == [truth.gpus[result.cycle - 1].uuid]


@pytest.mark.parametrize(
    ("change", "again"),
    [
        ({}, 0),
        ({"parallel": {"loads_at_once": 4}}, 0),
        ({"cycles": 5}, 2),
        ({"experiments": {"nap": {"axes": {"batch_size": [1, 2, 4]}}}}, 4),
        ({"experiments": {"rest": {"axes": {"batch_size": [2, 1]}}}}, 0),
    ],
    ids=["none", "loads", "a cycle", "a value", "names"],
)
def test_a_change_measures_again_exactly_what_it_must(measured, change, again):
    tree, *_ = measured
    tree.write_campaign(changed(**change))
    printed = tree.run("measurements", *AT_ONCE, "--dry-run", check=True).stdout
    tree.write_campaign(CAMPAIGN)
    assert [int(count) for count in MEASURE.findall(printed)] == ([again] if again else [])


def test_a_missing_result_is_measured_on_its_gpu_and_nothing_else(measured):
    tree, *_ = measured
    gone = next(path for path in tree.results() if read_result(path).cycle == 3)
    before = read_result(gone)
    gone.unlink()
    assert tree.measured(*AT_ONCE) == [(before.experiment, 3)]
    assert read_result(gone).environment.device_uuids == before.environment.device_uuids


def test_cycles_are_decided_as_on_one_gpu(four, measured):  # noqa: ARG001
    tree, truth = four
    cycles = {"first": 3, "maximum": 5, "target_relative_half_width": 0.0001}
    tree.write_campaign(changed(campaign="decided", cycles=cycles, experiments={"nap": {}}))
    done = tree.run(*AT_ONCE, check=True)
    tree.write_campaign(CAMPAIGN)
    order = [cycle for _, cycle in finished(done.stdout)]
    assert sorted(order[:3]) == [1, 2, 3]
    assert sorted(order[3:]) == [4, 5]
    used = {
        result.cycle: result.environment.device_uuids
        for result in map(read_result, tree.results("decided"))
    }
    uuids = [[gpu.uuid] for gpu in truth.gpus]
    assert [used[cycle] for cycle in range(1, 6)] == [*uuids, uuids[0]]


OTHERS = [
    # parallel, as indices of GPUs; GPUs of cycle 4's rest; what is printed of it
    ({"devices": [3, 0]}, [3], None),
    ({"devices": [0, 1]}, [1], "3: the rest is measured on 1"),
    ({"devices_per_measurement": 2}, [2, 3], "3: the rest is measured on 2, 3"),
    (None, [0, 1, 2, 3], "3: the rest is measured on all GPUs of the host"),
]


@pytest.mark.parametrize(("parallel", "gpus", "line"), OTHERS)
def test_a_begun_block_goes_on_with_other_sets(four, measured, tmp_path, parallel, gpus, line):
    """The simulated engine uses all the GPUs that it gets."""
    uuids = [gpu.uuid for gpu in four[1].gpus]
    campaign = changed(parallel=dict(parallel or {}))
    if parallel is None:
        del campaign["parallel"]
    elif "devices" in parallel:
        campaign["parallel"]["devices"] = [uuids[index] for index in parallel["devices"]]
    tree = measured[0].copy(tmp_path / "tree", campaign)
    gone = next(path for path in tree.results() if read_result(path).cycle == 4)
    name = read_result(gone).experiment
    gone.unlink()
    kept = contents(tree)
    done = tree.run(*AT_ONCE, check=True)
    assert finished(done.stdout) == [(name, 4)]
    assert kept.items() <= contents(tree).items()
    assert read_result(gone).environment.device_uuids == [uuids[index] for index in gpus]
    expected = []
    if line:
        printed = re.sub(r"\d", lambda index: uuids[int(index[0])], line)
        expected = [f"Cycle 4, begun on {printed}"]
    assert [each for each in done.stdout.splitlines() if "begun on" in each] == expected
    flagged = "other_gpu_count" in (tree.folder / "results/nap/report.html").read_text()
    assert flagged == (len(gpus) > 1)


def test_more_sets_than_before_leave_a_begun_block_on_its_gpu(four, measured, tmp_path):
    tree, truth = measured[0].copy(tmp_path / "tree"), four[1]
    uuids = [gpu.uuid for gpu in truth.gpus]
    tree.write_campaign(changed(campaign="more", cycles=3, parallel={"devices": uuids[:2]}))
    tree.run("measurements", *AT_ONCE, check=True)
    third = [path for path in tree.results("more") if read_result(path).cycle == 3]
    third[0].unlink()
    tree.write_campaign(changed(campaign="more", cycles=4))
    done = tree.run("measurements", *AT_ONCE, check=True)
    assert sorted(cycle for _, cycle in finished(done.stdout)) == [3, 4, 4]
    assert read_result(third[0]).environment.device_uuids == uuids[:1]
    assert "begun on" not in done.stdout
