"""Cycles in two stages: the first ones decide, whatever is interrupted, lost or forced."""

import copy
import json
import shutil

import pytest

from llm_energy.results import layout
from tests.integration.workflow import CAMPAIGN, finished

pytestmark = pytest.mark.integration

CYCLES = {"first": 3, "maximum": 5, "target_relative_half_width": 0.0001}
"""No engine that sleeps is as steady as that: every experiment goes on to the maximum."""


def campaign(**changes):
    return copy.deepcopy(CAMPAIGN) | {"cycles": copy.deepcopy(CYCLES)} | changes


@pytest.fixture(scope="module")
def first_run(ready_template, tmp_path_factory):
    """A tree with two experiments and one that fails, what was planned before anything was
    measured, and what the run printed."""
    broken = {"settings": {"engine": {"sleep": {"wave_fault": "raise"}}}}
    failing = campaign()
    failing["experiments"]["broken"] = broken
    tree = ready_template.copy(tmp_path_factory.mktemp("adaptive") / "tree", failing)
    planned, done = tree.graph(), tree.run()
    assert done.returncode != 0
    tree.write_campaign(campaign())  # without the one that fails: all is there
    return tree, planned, done.stdout


@pytest.fixture
def decided(first_run, tmp_path):
    """A copy of the tree after that run."""
    return first_run[0].copy(tmp_path / "tree")


def decisions(tree):
    return list(layout.files(tree.folder / "results/nap", "decisions"))


def test_before_anything_is_measured_a_dry_run_says_what_may_follow(first_run):
    _, planned, _ = first_run
    assert len(planned.measurements) == 9
    assert [job["rule"] for job in planned.jobs].count("decide") == 3
    assert "adding more jobs" in planned.output


def test_every_first_cycle_comes_before_any_decision_and_the_rest_in_planned_blocks(first_run):
    tree, _, said = first_run
    assert finished(said) == tree.plan()
    assert len(tree.plan()) == 10
    assert [cycle for _, cycle in finished(said)] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    made = sorted((p.stat().st_mtime_ns, p.stem) for p in [*tree.results(), *decisions(tree)])
    order = [name.partition("_")[0] for _, name in made]
    assert order == [
        *(f"cycle-0{cycle}" for cycle in (1, 1, 2, 2, 3, 3)),
        *("first-3", "first-3"),
        *(f"cycle-0{cycle}" for cycle in (4, 4, 5, 5)),
    ]
    assert "left, and the cycles that the first ones will ask for" in said


def test_an_experiment_that_fails_does_not_stop_the_others(first_run):
    tree, _, said = first_run
    assert len(tree.results()) == 10
    assert "3 of 13 measurements are missing" in said


def test_a_decision_says_what_decided(first_run):
    records = [json.loads(path.read_text()) for path in decisions(first_run[0])]
    assert {record["experiment"] for record in records} == {"nap_batch1", "nap_batch2"}
    for record in records:
        assert record["metric"] == "output_tokens_per_second"
        assert len(record["values"]) == record["first"] == 3
        assert record["cycles"] > 5


def test_the_report_tells_the_decision(first_run):
    page = (first_run[0].folder / "results/nap/report-partial.html").read_text()
    assert "Number of cycles of each experiment, decided by its own spread." in page


def test_lost_metadata_and_another_age_remake_nothing(decided):
    shutil.rmtree(decided.folder / ".snakemake")
    for path in decided.results():
        path.touch()  # younger than what it decided
    assert decided.graph("measurements").rules == set()


def test_a_lost_decision_and_a_lost_first_cycle_are_made_again_and_nothing_else(decided):
    specs = decided.campaign().names.items()
    paths = {name: next(p for p in decisions(decided) if p.parent.name == s) for s, name in specs}
    one, other = paths["nap_batch1"], paths["nap_batch2"]
    before = other.read_bytes()
    other.unlink()
    decided.of("nap_batch1")[1].unlink()
    assert decided.measured() == [("nap_batch1", 2)]
    assert other.read_bytes() == before
    assert one.exists()
    assert "10 measurements: 10 done" in decided.run("status", check=True).stdout


def test_a_higher_maximum_asks_for_the_difference_without_deciding_anew(decided):
    decided.write_campaign(campaign(cycles=CYCLES | {"maximum": 6}))
    graph = decided.graph("measurements")
    assert "decide" not in graph.rules
    assert len(graph.measurements) == 2


def test_forcing_sets_all_aside_and_decides_anew(decided):
    message = decided.refusal("--forcerun", "measure")
    assert "10 of the requested measurements have a result already" in message
    assert len(decided.results()) == 10
    measured = decided.measured("--forcerun", "measure", "--config", "remeasure=true")
    assert measured == decided.plan()
    kept = decided.folder / "results/nap/superseded"
    assert len(list(kept.rglob("cycle-*.json"))) == 10
    assert len(list(kept.rglob("first-3*.json"))) == 2
