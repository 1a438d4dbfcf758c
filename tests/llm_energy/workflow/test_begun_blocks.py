"""Where blocks that were begun go on, also with other sets of GPUs than before."""

import json
from types import SimpleNamespace

import pytest
from tests.llm_energy.make_results import make_result, put_result

from llm_energy.runs.run_records import DeviceSet, Spread
from llm_energy.workflow.begun_blocks import Begun, begun_blocks, moved_blocks, sets_of_blocks

PLANNED = [SimpleNamespace(cycle=c, result_path=f"measurements/cycle-{c}.json") for c in (1, 2, 3)]
ONE, TWO, BOTH = DeviceSet(("GPU-1",)), DeviceSet(("GPU-2",)), DeviceSet(("GPU-1", "GPU-2"))


def begun(used, given=None):
    return Begun(frozenset(used.split()), given and tuple(given.split()))


def lines(blocks, *sets):
    spread = Spread("gpu", new_device=True, sets=sets, begun=sets_of_blocks(blocks, sets))
    return moved_blocks(blocks, spread if sets else None)


def measure(results, planned, used, given):
    result = make_result(cycle=planned.cycle)
    run = f"run-{planned.cycle}"
    there = result.environment.model_copy(update={"device_uuids": used, "run_id": run})
    put_result(results / planned.result_path, result.model_copy(update={"environment": there}))
    (results / "runs").mkdir(exist_ok=True)
    (results / f"runs/{run}.json").write_text(json.dumps({"device_uuids": given}))


def test_a_block_was_begun_where_its_first_result_and_its_run_say(tmp_path):
    measure(tmp_path, PLANNED[0], ["GPU-1"], ["GPU-1", "GPU-2"])
    measure(tmp_path, PLANNED[1], ["GPU-2"], None)
    campaign = SimpleNamespace(schedule=PLANNED)
    found = begun_blocks(campaign, tmp_path, cycles={1, 2, 3})
    assert found == {1: begun("GPU-1", "GPU-1 GPU-2"), 2: begun("GPU-2")}
    assert set(begun_blocks(campaign, tmp_path, cycles={2, 3})) == {2}
    (tmp_path / "runs/run-1.json").unlink()
    assert begun_blocks(campaign, tmp_path, cycles={1}) == {1: begun("GPU-1")}


def test_a_block_goes_on_on_the_set_that_has_its_gpus():
    blocks = {1: begun("GPU-2", "GPU-2"), 2: begun("GPU-1 GPU-2"), 3: begun("GPU-9")}
    assert sets_of_blocks(blocks, [ONE, TWO]) == {"1": 1}
    assert sets_of_blocks(blocks, [TWO]) == {"1": 0}
    assert sets_of_blocks(blocks, [BOTH]) == {"1": 0, "2": 0}


@pytest.mark.parametrize(
    ("block", "sets"),
    [
        (begun("GPU-1", "GPU-1"), [TWO, ONE]),
        (begun("GPU-1", "GPU-1 GPU-2"), [BOTH]),  # it computed on one of them
        (begun("GPU-1"), [TWO, ONE]),  # without `parallel`, or nobody knows
        (begun("GPU-1 GPU-2"), []),
    ],
)
def test_where_its_gpus_are_the_same_nothing_is_printed(block, sets):
    assert lines({1: block}, *sets) == []


@pytest.mark.parametrize(
    ("block", "sets", "line"),
    [
        (begun("GPU-9", "GPU-9"), [TWO, ONE], "GPU-9: the rest is measured on GPU-2"),
        (begun("GPU-2", "GPU-2"), [BOTH], "GPU-2: the rest is measured on GPU-1, GPU-2"),
        (begun("GPU-1", "GPU-1 GPU-2"), [ONE], "GPU-1, GPU-2: the rest is measured on GPU-1"),
        (begun("GPU-1", "GPU-1"), [], "GPU-1: the rest is measured on all GPUs of the host"),
        (begun("GPU-1 GPU-2"), [ONE], "GPU-1, GPU-2: the rest is measured on GPU-1"),
    ],
)
def test_where_its_gpus_change_one_line_says_so(block, sets, line):
    assert lines({1: block}, *sets) == [f"Cycle 1, begun on {line}"]


def test_blocks_with_one_change_share_a_line():
    found = {cycle: begun("GPU-9", "GPU-9") for cycle in range(1, 20)}
    expected = "begun on GPU-9: the rest is measured on GPU-1"
    assert lines({c: found[c] for c in (1, 4)}, ONE) == [f"Cycles 1, 4, {expected}"]
    (line,) = lines(found, ONE)
    assert line == f"Cycles 1, 2, 3, 4, 5, 6, 7, 8 and 11 more, {expected}"
