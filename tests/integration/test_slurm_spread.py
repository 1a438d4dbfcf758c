"""A campaign spread over the nodes of a real Slurm: each cycle is measured on one of them."""

import json
import os
import signal
import subprocess

import pytest

from tests.integration.slurm import Cluster, python_with_plugin, require_slurm
from tests.integration.test_rate_search import SEARCHING
from tests.integration.workflow import CAMPAIGN, PATIENCE_S, Tree, wait_for, wait_until_gone

pytestmark = [pytest.mark.integration, pytest.mark.long]

NODES = ("node-a", "node-b")
# Without accounting the head must ask the queue, and here it may ask often.
OPTIONS = ["--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "1"]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    require_slurm()
    cluster = Cluster(tmp_path_factory.mktemp("slurm"), NODES)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    return python_with_plugin(tmp_path_factory.mktemp("plugin"))


class Head:
    """The workflow as it is started on the head of the cluster."""

    def __init__(self, cluster, python, tree):
        self._environment = cluster.environment
        self._python = python
        self.tree = tree
        self._started = []

    def start(self, *targets):
        """Start it in a session of its own, its output in `output.log`."""
        command = [
            self._python,
            "-m",
            "snakemake",
            *targets,
            "--workflow-profile",
            "workflow-profile/slurm",
        ]
        command += [*OPTIONS, "--configfile", "config/nap.yaml"]
        with (self.tree.folder / "output.log").open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=self.tree.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                # A background job of a shell ignores Ctrl-C, and so does all that it starts.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            )
        self._started.append(process)
        return process

    def end(self):
        """Kill what a test that failed has left."""
        for process in self._started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def run(self, *targets):
        """Run it to its end; (exit code, output)."""
        return self.start(*targets).wait(timeout=PATIENCE_S), self.tree.output()


def nothing_is_left(tree):
    wait_until_gone(tree.processes)
    assert tree.runs() == []


def contents(tree):
    return {path: path.read_bytes() for path in tree.results()}


def sessions(tree):
    """Cycle -> (node, session) of its measurements."""
    found = {}
    for content in contents(tree).values():
        result = json.loads(content)
        environment = result["environment"]
        of_cycle = found.setdefault(result["cycle"], set())
        of_cycle.add((environment["host"], environment["session_id"]))
    return found


def job_of(session):
    return session.rpartition("-job")[2]


def campaign(fault):
    """Three experiments in this order, the second of which may fail."""
    settings = {
        "one": {"batch_size": 1},
        "two": {"batch_size": 4, "engine": {"sleep": {"wave_fault": fault}}},
        "three": {"batch_size": 2},
    }
    return CAMPAIGN | {
        "order": "sequential",
        "measurement": CAMPAIGN["measurement"] | {"minimum_duration_s": 1.5},
        "experiments": {name: {"settings": each} for name, each in settings.items()},
    }


@pytest.fixture(scope="module")
def head(cluster, python, ready_template, tmp_path_factory):
    tree = ready_template.copy(tmp_path_factory.mktemp("spread") / "tree", campaign("raise"))
    head = Head(cluster, python, tree)
    yield head
    head.end()


@pytest.fixture(scope="module")
def broken(cluster, head):
    """(exit code, results, sessions) of a run in which one experiment failed, and of which one job
    was cancelled after its first result."""
    running = head.start("measurements")
    wait_for(head.tree.results, why="a first result")
    (_, session), *_ = next(iter(sessions(head.tree).values()))
    cluster.ask("scancel", job_of(session))
    status = running.wait(timeout=PATIENCE_S)
    nothing_is_left(head.tree)
    return status, contents(head.tree), sessions(head.tree)


@pytest.fixture(scope="module")
def resumed(head, broken):
    """Remains of `broken`, and (exit code, output) of the run after one whose head was killed while
    its jobs were on the nodes."""
    head.tree.write_campaign(campaign("none"))
    running = head.start()
    entered = head.tree.folder / ".cache/runs"
    wait_for(lambda: list(entered.glob("*-job*/run.json")), why="a job")
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    return broken, *head.run()


def test_what_fails_or_is_cancelled_takes_nothing_else_along(head, broken):
    status, results, _ = broken
    assert status == 1
    # Of one cycle all but what failed, of the other what came before its job was cancelled: one
    # result at least, and both where the node was faster than the cancellation.
    of_cycle = {}
    for experiment, cycle in sorted(head.tree.named(path) for path in results):
        of_cycle.setdefault(cycle, []).append(experiment)
    assert max(of_cycle.values()) == ["one", "three"]
    assert min(of_cycle.values()) in (["one"], ["one", "three"])
    assert {failure["reason"] for failure in head.tree.failures()} == {"engine_error"}


def test_a_cycle_is_measured_in_one_session_on_one_node_and_the_next_one_elsewhere(broken):
    _, _, found = broken
    assert [len(each) for each in found.values()] == [1, 1]
    ((first, first_session),), ((second, second_session),) = found.values()
    assert {first, second} == set(NODES)
    assert first_session != second_session


def test_its_backend_serves_all_of_it(broken):
    _, results, _ = broken
    served = [json.loads(content)["process"]["supervisor_jobs"] for content in results.values()]
    assert max(served) >= 1


def test_a_head_that_was_killed_goes_on_and_ends_the_job_that_it_left(head, resumed):
    (_, kept, before), status, output = resumed
    assert status == 0, output
    assert "Cancelled job" in output
    results = contents(head.tree)
    assert len(results) == 6
    assert kept.items() < results.items()
    assert set.union(*before.values()) < set.union(*sessions(head.tree).values())
    assert (head.tree.folder / "results/nap/report.html").exists()
    nothing_is_left(head.tree)


@pytest.mark.parametrize(
    ("decided", "remedy"),
    [
        (
            CAMPAIGN | {"cycles": {"first": 5, "maximum": 6, "target_relative_half_width": 0.01}},
            "give `cycles` a number",
        ),
        (SEARCHING, "searches its highest good rate as it goes, which cannot be spread"),
    ],
)
def test_what_is_decided_on_the_way_is_refused(cluster, python, tmp_path, decided, remedy):
    tree = Tree.create(tmp_path / "tree", decided)
    status, output = Head(cluster, python, tree).run()
    assert status == 1
    assert remedy in output


@pytest.mark.usefixtures("resumed")
def test_the_same_command_again_has_nothing_to_do(head):
    status, output = head.run()
    assert status == 0
    assert "Nothing to be done" in output
