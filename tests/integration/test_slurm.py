"""The whole workflow inside one allocation of a real Slurm: it ends, is ended, and goes on."""

import copy
import sys
from pathlib import Path

import pytest

from tests.integration.slurm import Cluster, require_slurm
from tests.integration.workflow import CAMPAIGN, wait_for, wait_until_gone

pytestmark = pytest.mark.integration

SCRIPT = Path("workflow-profile/slurm/campaign.sbatch")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    require_slurm()
    cluster = Cluster(tmp_path_factory.mktemp("slurm"))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def tree(ready):
    """A checkout as `make setup` leaves it."""
    (ready.folder / ".venv").symlink_to(Path(sys.executable).parent.parent)
    return ready


def change(tree, *, cycles=2, **measurement):
    campaign = copy.deepcopy(CAMPAIGN) | {"cycles": cycles}
    campaign["measurement"] |= measurement
    tree.write_campaign(campaign)


def submit(cluster, tree, *options):
    arguments = ["--configfile", "config/nap.yaml"]
    return cluster.submit(SCRIPT, *arguments, options=options, cwd=tree.folder)


def ended(cluster, job):
    """Wait for the end of a job; returns its state then."""
    states = [""]

    def is_over():
        states.append(cluster.state(job))
        return states[-1] not in ("", "PENDING", "RUNNING", "COMPLETING")

    wait_for(is_over, why=f"job {job} goes on")
    return states[-1]


def printed(tree, job):
    return (tree.folder / f"llm-energy-{job}.log").read_text()


def nothing_is_left(tree):
    wait_until_gone(tree.processes)


def test_a_campaign_runs_to_its_report_and_again_has_nothing_to_do(cluster, tree):
    job = submit(cluster, tree)
    assert ended(cluster, job) == "COMPLETED", printed(tree, job)
    assert len(tree.results()) == 4
    assert (tree.folder / "results/nap/report.html").exists()
    nothing_is_left(tree)
    again = submit(cluster, tree)
    assert ended(cluster, again) == "COMPLETED"
    assert "Nothing to be done" in printed(tree, again)


@pytest.mark.long
def test_a_cancelled_campaign_keeps_its_results_and_goes_on_when_submitted_again(cluster, tree):
    change(tree, minimum_duration_s=1.0)
    job = submit(cluster, tree)
    wait_for(tree.results, why="a first result")
    cluster.ask("scancel", job)
    assert ended(cluster, job) == "CANCELLED"
    nothing_is_left(tree)
    kept = {path: path.read_bytes() for path in tree.results()}
    assert 1 <= len(kept) < 4
    again = submit(cluster, tree)
    assert ended(cluster, again) == "COMPLETED", printed(tree, again)
    assert len(tree.results()) == 4
    assert all(path.read_bytes() == content for path, content in kept.items())


@pytest.mark.long
def test_before_the_time_limit_the_current_measurement_is_finished(cluster, tree):
    change(tree, cycles=9, minimum_duration_s=5.0)
    job = submit(cluster, tree, "--signal=B:TERM@10")
    wait_for(tree.results, why="a first result")
    # Slurm's limits are whole minutes, looked at every half minute.
    cluster.ask("scontrol", "update", f"JobId={job}", "TimeLimit=1")
    assert ended(cluster, job) == "FAILED", printed(tree, job)  # in time, and not all is measured
    assert 1 <= len(tree.results()) < 18
    assert tree.failures() == []
    nothing_is_left(tree)
