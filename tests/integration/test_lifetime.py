"""Whatever ends a run, nothing of it lives on, and nothing of another run is touched."""

import contextlib
import copy
import json
import os
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from llm_energy.runs.results_lock import FILE, LockedError, ResultsLock
from llm_energy.system.processes import process_name
from tests.integration.docker import containers_below, containers_of
from tests.integration.workflow import (
    CAMPAIGN,
    PATIENCE_S,
    Tree,
    finished,
    in_containers,
    wait_for,
    wait_until_gone,
)

pytestmark = pytest.mark.integration


PODMAN = pytest.param("podman", marks=pytest.mark.long)
BOTH = ["process", "docker", PODMAN]
PROCESS = ["process", pytest.param("docker", marks=pytest.mark.long), PODMAN]
"""Where what happens in a container is the same: what differs has a test in both."""
READY = {
    "process": "ready_template",
    "docker": "ready_in_containers",
    "podman": "ready_in_podman",
}
MEASURED = {
    "process": "measured_template",
    "docker": "measured_in_containers",
    "podman": "measured_in_podman",
}


@pytest.fixture
def runtime(request, monkeypatch):
    """Where the backends run; containers of Podman are reached through its own socket."""
    if request.param == "podman":
        monkeypatch.setenv("DOCKER_HOST", request.getfixturevalue("podman"))
    return request.param


@pytest.fixture
def template(request, runtime):
    """A tree whose environment or image is ready; to be copied."""
    return request.getfixturevalue(READY[runtime])


def slow_campaign(runtime: str, **changes):
    """Measurements of about half a second, so that what ends a run falls into one."""
    campaign = copy.deepcopy(CAMPAIGN) | changes
    campaign["measurement"] |= {"minimum_duration_s": 0.5, "baseline_s": 0.2}
    return campaign if runtime == "process" else in_containers(campaign)


def start_measuring(tree: Tree):
    """Start the workflow; returns it once it has finished one measurement and is in the next."""
    process = tree.start("measurements")
    wait_for(
        lambda: finished(tree.output()) or process.poll() is not None,
        why=tree.output(),
    )
    assert process.poll() is None, tree.output()
    return process


@pytest.fixture
def running(tmp_path, template, runtime):
    tree = template.copy(tmp_path / "tree", slow_campaign(runtime))
    process = start_measuring(tree)
    yield tree, process, tree.run_facts()
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def alive_of(tree: Tree, run: dict) -> list[str]:
    """Return the processes and containers of a run that still live."""
    alive = [f"process {pid}" for pid in tree.processes()]
    in_docker = tree.campaign().backends["sleep"].runtime == "docker"
    return alive + (containers_of(run["run_id"]) if in_docker else [])


def left_of(tree: Tree, run: dict) -> list[str]:
    """Whatever there is of a run: what lives, sockets, records, and the campaign's lock."""
    left = alive_of(tree, run) + [str(path) for path in tree.runs()]
    left += [run["sockets"]] if Path(run["sockets"]).exists() else []
    try:
        if (tree.folder / "results/nap" / FILE).exists():
            ResultsLock(tree.folder / "results/nap").release()
    except LockedError:
        return [*left, "the lock of the results"]
    return left


def send(name: str) -> Callable:
    return lambda process, _: process.send_signal(getattr(signal, name))


def kill_with_watchdog(process, run):
    os.kill(run["watchdog"]["pid"], signal.SIGKILL)
    process.kill()


ENDS = {
    "ctrl_c": send("SIGINT"),
    "term": send("SIGTERM"),
    "hup": send("SIGHUP"),
    "kill": send("SIGKILL"),
    "kill_with_watchdog": kill_with_watchdog,
}


@pytest.mark.parametrize(
    ("end", "runtime"),
    [
        *((end, "process") for end in ENDS),
        ("ctrl_c", "docker"),
        ("kill", "docker"),
        ("kill_with_watchdog", "docker"),
        # As Ctrl-C: all three let the run end itself.
        pytest.param("term", "docker", marks=pytest.mark.long),
        pytest.param("hup", "docker", marks=pytest.mark.long),
        *(pytest.param(end, "podman", marks=pytest.mark.long) for end in ENDS),
    ],
    indirect=["runtime"],
)
def test_after_any_end_nothing_lives_on_and_the_same_command_goes_on(running, end):
    tree, process, run = running
    ENDS[end](process, run)
    process.wait(timeout=PATIENCE_S)
    assert process.returncode != 0
    wait_until_gone(lambda: alive_of(tree, run))
    if end != "kill_with_watchdog":  # then nobody is left to clean up, but the next run
        assert left_of(tree, run) == []
    before = {path: path.read_bytes() for path in tree.results()}
    assert before
    remaining = tree.measured()
    assert len(remaining) == 4 - len(before)
    assert {path: path.read_bytes() for path in before} == before
    assert left_of(tree, run) == []


def all_stopped(tree: Tree) -> set[int]:
    """Stop all processes of a tree, so that none can react or start another; returns their ids."""
    stopped: set[int] = set()
    looks_in_vain = 0
    while looks_in_vain < 5:  # one that is being forked appears some time later
        new = set(tree.processes()) - stopped
        signal_all(new, signal.SIGSTOP)
        stopped |= new
        looks_in_vain = 0 if new else looks_in_vain + 1
        time.sleep(0.02)
    return stopped


def signal_all(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def children_of_engines(pids: Iterable[int]) -> set[int]:
    """The children that the sleeping engine starts, among processes."""
    return {pid for pid in pids if process_name(pid) == "sleep"}


def test_what_outlived_everything_is_ended_by_the_next_run(tmp_path, ready_template):
    """A child of the engine in a session of its own, after supervisor and guard were killed
    together; a file half written and the folder of a run half entered, both long ago."""
    campaign = slow_campaign("process")
    campaign["defaults"]["engine"] = {"sleep": {"child": True, "child_session": True}}
    tree = ready_template.copy(tmp_path / "tree", campaign)
    process = start_measuring(tree)
    run = tree.run_facts()
    while not (child := children_of_engines(stopped := all_stopped(tree))):  # between two engines
        assert process.poll() is None, tree.output()
        signal_all(stopped, signal.SIGCONT)
        wait_for(lambda: children_of_engines(tree.processes()) or process.poll() is not None)
    signal_all(stopped - child, signal.SIGKILL)
    signal_all(child, signal.SIGCONT)
    process.wait()
    wait_until_gone(lambda: [pid for pid in tree.processes() if pid not in child])
    assert set(tree.processes()) <= child
    assert tree.processes()

    half_written = tree.folder / "results/nap/failures/0/.cycle-01.attempt-1.json.7.tmp"
    half_entered = tree.folder / ".cache/runs/20260101T000000-0/backends"
    half_entered.mkdir(parents=True)
    half_written.parent.mkdir(parents=True)
    half_written.write_bytes(b"{")
    for path in (half_written, half_entered.parent):
        os.utime(path, (0, 0))
    tree.measured()
    assert left_of(tree, run) == []
    assert not half_written.exists()
    assert not half_entered.exists()


@pytest.mark.parametrize("runtime", PROCESS, indirect=True)
def test_a_normal_end_leaves_nothing(running):
    tree, process, run = running
    assert process.wait(timeout=PATIENCE_S) == 0, tree.output()
    assert len(tree.results()) == 4
    assert left_of(tree, run) == []


@pytest.mark.parametrize("runtime", PROCESS, indirect=True)
def test_a_failing_job_leaves_nothing(tmp_path, template, runtime):
    campaign = slow_campaign(runtime)
    campaign["experiments"]["nap"]["linked"] = [
        {"engine.sleep.wave_fault": ["none", "raise"], "output_tokens": [4, 5]}
    ]
    tree = template.copy(tmp_path / "tree", campaign)
    process = start_measuring(tree)
    run = tree.run_facts()
    assert process.wait(timeout=PATIENCE_S) == 1, tree.output()
    assert len(tree.results()) == 4
    assert {failure["reason"] for failure in tree.failures()} == {"engine_error"}
    assert left_of(tree, run) == []


@pytest.mark.parametrize("runtime", PROCESS, indirect=True)
def test_an_onstart_that_raises_leaves_nothing(tmp_path, runtime):
    """The second backend cannot be started, the first one is up by then."""
    campaign = copy.deepcopy(CAMPAIGN)
    campaign["backends"] = {"sleep": {}, "slumber": {}}
    campaign["experiments"]["nap"]["axes"]["backend"] = ["sleep", "slumber"]
    campaign = campaign if runtime == "process" else in_containers(campaign)
    tree = Tree.create(tmp_path / "tree")
    tree.add_backend("slumber")
    tree.write_campaign(campaign)
    tree.run("inputs", check=True)
    for marker in tree.folder.glob(".cache/environments/slumber-*/ready.json"):
        marker.write_text(json.dumps(json.loads(marker.read_text()) | {"python": "/bin/false"}))
    for python in tree.folder.glob(".cache/environments/slumber-*/venv/bin/python"):
        python.unlink()  # an environment of this folder is used where it lies, not as marked
        python.symlink_to("/bin/false")
    done = tree.run("measurements")
    assert done.returncode != 0
    assert "the supervisor of backend `slumber` did not start" in done.stdout
    assert tree.results() == []
    assert tree.processes() == []
    assert tree.runs() == []
    if runtime != "process":
        assert containers_below(tree.folder) == []


@pytest.mark.parametrize("runtime", BOTH, indirect=True)
def test_runs_side_by_side_do_not_touch_each_other(tmp_path, template, runtime):
    # They take turns on the device; the first has work enough to meet the second.
    one = template.copy(tmp_path / "one", slow_campaign(runtime, cycles=20))
    two = template.copy(tmp_path / "two", slow_campaign(runtime))
    first, second = start_measuring(one), start_measuring(two)
    runs = [one.run_facts(), two.run_facts()]
    first.kill()
    first.wait()
    wait_until_gone(lambda: left_of(one, runs[0]))
    assert second.wait(timeout=PATIENCE_S) == 0, two.output()
    assert len(two.results()) == 4
    assert two.events() == []
    assert left_of(two, runs[1]) == []


def runs_of(tree: Tree) -> int:
    """How many runs have been opened, and ended, in a tree."""
    return len(list((tree.folder / "results/nap/runs").glob("*.json")))


@pytest.mark.parametrize("runtime", PROCESS, indirect=True)
def test_backends_start_only_for_measurements(runtime, request, tmp_path):
    tree = request.getfixturevalue(MEASURED[runtime]).copy(tmp_path / "tree")
    runs, report = runs_of(tree), tree.folder / "results/nap/report.html"
    assert "Nothing to be done" in tree.run(check=True).stdout
    report.unlink()
    assert "Report: results/nap/report.html" in tree.run(check=True).stdout
    assert report.exists()
    assert runs_of(tree) == runs
