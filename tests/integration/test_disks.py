"""A disk that is full or read-only: told in a line, nothing is lost, and room is all it takes."""

import copy
import re
from contextlib import ExitStack

import pytest

from tests.disks import small_disk
from tests.integration.faults import damaged, differences, faulted_campaign, left, living, missing
from tests.integration.workflow import CAMPAIGN, PATIENCE_S, Tree, finished, wait_for

pytestmark = pytest.mark.integration


def test_each_write_of_a_measurement_may_find_no_room(ready):
    """The result, its side file, its log, and a failure's record: each on a disk of its own."""
    results = ready.folder / "results/nap"
    with ExitStack() as stack:
        measurements, requests, failures, logs = (
            stack.enter_context(small_disk(folder))
            for folder in (
                results / "measurements",
                results / "requests",
                results / "failures",
                ready.folder / "logs/nap/measure",
            )
        )
        for disk in (measurements, requests):
            disk.fill()
            full = ready.run("measurements")
            assert full.returncode != 0
            assert full.stdout.count("no space left on the disk: make room") == 4
            assert "Traceback" not in full.stdout
            assert ready.results() == []
            disk.make_room()
        assert {failure["reason"] for failure in ready.failures()} == {"disk_full"}

        logs.fill()
        failures.fill()
        campaign = copy.deepcopy(CAMPAIGN)
        campaign["experiments"]["broken"] = {
            "settings": {"engine": {"sleep": {"wave_fault": "raise"}}}
        }
        ready.write_campaign(campaign)
        done = ready.run("measurements")
        assert done.returncode != 0
        assert "record: none (No space left on device)" in done.stdout
        assert "Traceback" not in done.stdout
        assert "Logging error" not in done.stdout
        assert len(ready.results()) == 4
        assert damaged(ready) == []
        assert left(ready) == []


def test_a_disk_that_fills_up_under_a_run_ends_it_and_room_made_lets_it_go_on(
    ready_template, tmp_path
):
    with small_disk(tmp_path / "disk", size="120m") as disk:
        tree = ready_template.copy(disk.folder / "tree", faulted_campaign())
        process = tree.start("measurements")
        wait_for(lambda: finished(tree.output()) or process.poll() is not None, why=tree.output())
        disk.fill()
        assert process.wait(timeout=PATIENCE_S) != 0
        # The check before each measurement may see the last room, a write of ours may find none,
        # or Snakemake's own record of a measurement that has just been written.
        places = "no space left on the disk|MB are left on the disk|No space left on device"
        assert re.search(places, tree.output())
        assert living(tree) == []
        assert damaged(tree) == []
        before = {path: path.read_bytes() for path in tree.results()}
        assert before
        disk.make_room()
        tree.run("measurements", check=True)
        assert {path: path.read_bytes() for path in before} == before
        assert not missing(tree)
        assert differences(tree) == []
        assert left(tree) == []


def test_results_that_cannot_be_written_are_reported_before_anything_starts(fresh: Tree):
    with small_disk(fresh.folder / "results/nap") as disk:
        disk.make_read_only()
        done = fresh.run("measurements")
        assert done.returncode != 0
        assert "results/nap cannot be written" in done.stdout
        assert "Traceback" not in done.stdout
        assert left(fresh) == []
