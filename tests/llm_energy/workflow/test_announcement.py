"""The table of what a run will do: inputs by name, measurements by number and time."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.llm_energy.make_campaigns import load

from llm_energy.campaign.control_experiments import Control
from llm_energy.runs.concurrency import SERIAL, Concurrency
from llm_energy.workflow.anchors import Anchor
from llm_energy.workflow.announcement import announcement, lone_neighbours
from llm_energy.workflow.snakemake_internals import JobToRun

RESULTS = Path("results/toys")


@pytest.fixture
def campaign(root):
    return load(root)


def table(campaign, jobs, needed, concurrency=SERIAL):
    return announcement(jobs, needed, campaign=campaign, results=RESULTS, concurrency=concurrency)


def test_every_step_is_one_row(campaign):
    jobs = [
        JobToRun("environment", (".cache/environments/llama-cpp-0123456789ab/ready.json",), None),
        JobToRun("model", (".cache/models/tiny-0123456789ab/ready.json",), None),
        JobToRun("report", ("results/toys/report.html",), None),
    ]
    anchor = Anchor(experiment=campaign.experiments[0], cycle=1, position=-1)
    head, *rows = table(campaign, jobs, [anchor, *campaign.schedule])
    assert head == f"Campaign {campaign.name}, results in results/toys:"
    number, cycles = len(campaign.schedule), campaign.cycles
    assert [row.split(maxsplit=1) for row in rows] == [
        ["environment", "llama-cpp"],
        ["model", "tiny"],
        ["anchor", f"{campaign.experiments[0].name} once more"],
        [
            "measure",
            f"{number} measurements of {len(campaign.experiments)} experiments, cycle 1 to "
            f"{cycles}: about {11 * number} s without loading",
        ],
        ["report", "tables, figures, page"],
    ]


def test_one_is_no_plural(campaign):
    _, measure = table(campaign, [], campaign.schedule[:1])
    assert "1 measurement of 1 experiment, cycle 1: about" in measure


def test_a_cluster_decides_how_many_allocations_it_gives(campaign):
    _, measure = table(campaign, [], campaign.schedule, Concurrency(1, allocations=8))
    expected = "about 44 s with 2 allocations at a time, 88 s with one after another without"
    assert expected in measure
    _, measure = table(campaign, [], campaign.schedule, Concurrency(2, allocations=8))
    assert "about 44 s without loading" in measure  # both cycles are in one


def test_a_target_that_makes_nothing_has_no_table(campaign):
    assert table(campaign, [JobToRun("status", (), None)], []) == []


@pytest.mark.parametrize(
    ("cycles", "sets", "at_once", "why"),
    [
        (8, 8, 5, ""),
        (8, 2, 2, ""),
        (3, 8, 2, ""),  # three sets have a cycle
        (8, 8, 3, "beside its reference 2 of 7 other sets can be at work"),
        (8, 8, 1, "beside its reference 0 of 7 other sets can be at work"),
        (8, 1, 8, "beside its reference no other set has a cycle"),
        (1, 8, 8, "beside its reference no other set has a cycle"),
    ],
)
def test_a_control_of_neighbours_without_enough_of_them_is_named(
    campaign, cycles, sets, at_once, why
):
    control = Control("neighbours", "a.neighbours", "a")
    controlled = replace(campaign, cycles=cycles, controls=(control,))
    line = lone_neighbours(controlled, sets, at_once=at_once)
    assert (why in line) if why else not line
    assert lone_neighbours(campaign, sets, at_once=at_once) == ""
