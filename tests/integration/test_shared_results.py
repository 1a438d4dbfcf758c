"""Two clones that share a results folder: one measures, and nobody replaces anything."""

import json
import shutil

import pytest

from tests.integration.workflow import PATIENCE_S

pytestmark = pytest.mark.integration


def test_of_two_clones_that_start_together_one_is_refused(ready, tmp_path):
    other = ready.copy(tmp_path / "other")
    (ready.folder / "results").mkdir(exist_ok=True)
    shutil.rmtree(other.folder / "results")
    (other.folder / "results").symlink_to(ready.folder / "results")
    runs = [(tree, tree.start("measurements")) for tree in (ready, other)]
    codes = {tree: process.wait(timeout=PATIENCE_S) for tree, process in runs}
    assert sorted(codes.values()) == [0, 1], [tree.output() for tree in codes]
    (refused,) = (tree for tree, code in codes.items() if code)
    reasons = ("is being measured by process", "have a result already")
    assert any(reason in refused.output() for reason in reasons), refused.output()
    found = [json.loads(path.read_text()) for path in ready.results()]
    assert len(found) == 4
    assert len({result["environment"]["run_id"] for result in found}) == 1
    assert not (ready.folder / "results/nap/.lock").exists()
