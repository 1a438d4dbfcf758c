"""The whole workflow inside one allocation of a real Slurm: it ends, is ended, and goes on."""

import copy
import sys
from pathlib import Path

import pytest

from tests.integration.slurm import Cluster, require_slurm
from tests.integration.workflow import CAMPAIGN, Tree, wait_for

pytestmark = pytest.mark.integration

SCRIPT = Path("workflow-profile/slurm/campaign.sbatch")
GONE_S = 60.0
"""The lease runs 30 s; Slurm's own clean-up comes on top."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    require_slurm()
    cluster = Cluster(tmp_path_factory.mktemp("slurm"))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def tree_in(folder, *, cycles=2, **measurement):
    """A checkout as `make setup` leaves it."""
    campaign = copy.deepcopy(CAMPAIGN) | {"cycles": cycles}
    campaign["measurement"] |= measurement
    tree = Tree.create(folder / "tree", campaign)
    (tree.folder / ".venv").symlink_to(Path(sys.executable).parent.parent)
    return tree


def submit(cluster, tree, *options):
    arguments = ["--configfile", "config/nap.yaml"]
    return cluster.submit(SCRIPT, *arguments, options=options, cwd=tree.folder)


def ended(cluster, job):
    wait_for(
        lambda: cluster.state(job) not in ("PENDING", "RUNNING", "COMPLETING"),
        timeout_s=240.0,
        why=f"job {job} is {cluster.state(job)}",
    )
    return cluster.state(job)


def printed(tree, job):
    return (tree.folder / f"llm-energy-{job}.log").read_text()


def nothing_is_left(tree):
    wait_for(lambda: not tree.processes(), timeout_s=GONE_S, why=f"left: {tree.processes()}")


def test_a_campaign_runs_to_its_report_and_again_has_nothing_to_do(cluster, tmp_path):
    tree = tree_in(tmp_path)
    job = submit(cluster, tree)
    assert ended(cluster, job) == "COMPLETED", printed(tree, job)
    assert len(tree.results()) == 4
    assert (tree.folder / "results/nap/report.html").exists()
    nothing_is_left(tree)
    again = submit(cluster, tree)
    assert ended(cluster, again) == "COMPLETED"
    assert "Nothing to be done" in printed(tree, again)


def test_a_cancelled_campaign_keeps_its_results_and_goes_on_when_submitted_again(cluster, tmp_path):
    tree = tree_in(tmp_path, minimum_duration_s=1.0)
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


def test_before_the_time_limit_the_current_measurement_is_finished(cluster, tmp_path):
    tree = tree_in(tmp_path, cycles=9, minimum_duration_s=5.0)
    job = submit(cluster, tree, "--signal=B:TERM@10")
    wait_for(tree.results, why="a first result")
    # Slurm's limits are whole minutes, looked at every half minute.
    cluster.ask("scontrol", "update", f"JobId={job}", "TimeLimit=1")
    assert ended(cluster, job) == "FAILED", printed(tree, job)  # in time, and not all is measured
    assert 1 <= len(tree.results()) < 18
    assert tree.failures() == []
    nothing_is_left(tree)
