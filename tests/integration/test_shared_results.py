"""Two clones that share a results folder: one measures, and nobody replaces anything."""

import json
import shutil

import pytest

from llm_energy.system import locks
from tests.integration.workflow import PATIENCE_S, wait_for

pytestmark = pytest.mark.integration


def test_of_two_clones_that_start_together_one_is_refused(ready, tmp_path):
    other = ready.copy(tmp_path / "other")
    (ready.folder / "results").mkdir(exist_ok=True)
    shutil.rmtree(other.folder / "results")
    (other.folder / "results").symlink_to(ready.folder / "results")
    with locks.devices(["cpu"]):  # so that the first one cannot end before the other has begun
        runs = [(tree, tree.start("measurements")) for tree in (ready, other)]
        wait_for(lambda: any(process.poll() is not None for _, process in runs), why="both go on")
    codes = {tree: process.wait(timeout=PATIENCE_S) for tree, process in runs}
    assert sorted(codes.values()) == [0, 1], [tree.output() for tree in codes]
    (refused,) = (tree for tree, code in codes.items() if code)
    assert "is being measured by process" in refused.output()
    found = [json.loads(path.read_text()) for path in ready.results()]
    assert len(found) == 4
    assert len({result["environment"]["run_id"] for result in found}) == 1
    assert not (ready.folder / "results/nap/.lock").exists()
