"""A search for the highest good rate through the whole workflow, on the engine that sleeps."""

import copy
import json
import shutil

import pytest

from llm_energy.results import layout
from llm_energy.stats.bisection import bisect
from tests.integration.conftest import made
from tests.integration.test_open_load import SERVING
from tests.integration.workflow import finished

pytestmark = pytest.mark.integration

GRID = {"from": 30, "to": 480, "tolerance": 1}
SEARCHING = copy.deepcopy(SERVING) | {
    "cycles": 2,
    "experiments": {"serve": {"axes": {"request_rate": {"highest_good": GRID}}}},
}
NAMES = [f"serve_rate{rate}" for rate in (30, 60, 120, 240, 480)]
"""50 requests per second at most, so that 120 is too many."""


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A tree that was searched to its end: never changed, only copied."""
    return made(tmp_path_factory, "searched", campaign=SEARCHING)


@pytest.fixture
def tree(searched, tmp_path):
    return searched.copy(tmp_path / "tree")


def judgements(tree):
    """Rate that was judged -> True where it is good."""
    found = {}
    for path in layout.files(tree.folder / "results/nap", "decisions"):
        record = json.loads(path.read_text())
        found[record["experiment"]] = record["good"]
    return found


def test_the_rates_visited_are_those_of_the_bisection(searched):
    good = judgements(searched)
    search = bisect(len(NAMES), lambda index: good.get(NAMES[index]))
    assert search.next is None
    assert [NAMES[index] for index in search.visited] == list(dict.fromkeys(order(searched)))
    assert len(good) == len(search.visited) <= 3
    assert not good["serve_rate120"]
    assert len(searched.results()) == 2 * len(good)


def order(tree):
    return [name for name, _ in finished(tree.printed)]


def test_everything_says_what_was_found(searched):
    good = [name for name in NAMES if judgements(searched).get(name)]
    said = f"{good[-1].removeprefix('serve_rate')} requests/s" if good else "none, 30 requests/s"
    assert "left, and the rates that the first ones will ask for" in searched.printed
    printed = searched.run("status", check=True).stdout
    assert "Highest good rate of serve: " in printed
    assert said in printed
    page = (searched.folder / "results/nap/report.html").read_text()
    summary = json.loads((searched.folder / "results/nap/summary/summary.json").read_text())
    (found,) = summary["highest_good"]
    assert found["sentence"] in page
    assert found["complete"]
    assert [one["good"] for one in found["visited"]] == [
        judgements(searched)[one["experiment"]] for one in found["visited"]
    ]


def test_a_finished_search_has_nothing_to_do(tree):
    assert tree.graph().rules == set()
    shutil.rmtree(tree.folder / ".snakemake")
    for path in tree.results():
        path.touch()  # younger than its judgement
    assert tree.graph("measurements").rules == set()


def test_an_interrupted_search_measures_only_what_is_missing(tree):
    """As if it had ended after the first cycle of its second rate."""
    before = {path: path.read_bytes() for path in tree.results()}
    folder = tree.folder / "results/nap"
    (second, *later) = list(dict.fromkeys(order(tree)))[1:]
    for name in later:
        for path in tree.of(name):
            path.unlink()
        shutil.rmtree(folder / "decisions" / tree.campaign().experiment(name).spec_hash)
    shutil.rmtree(folder / "decisions" / tree.campaign().experiment(second).spec_hash)
    tree.of(second)[1].unlink()
    shutil.rmtree(tree.folder / ".snakemake")
    again = tree.measured()
    assert again[0] == (second, 2)
    assert (second, 1) not in again
    for path in tree.of("serve_rate120"):
        assert path.read_bytes() == before[path]


def test_other_objectives_judge_what_is_there_without_measuring_it(tree):
    lenient = copy.deepcopy(SEARCHING) | {"slo": {"end_to_end_ms": 1e6, "share": 0.01}}
    tree.write_campaign(lenient)
    jobs = [(job["rule"], job.get("experiment")) for job in tree.graph("measurements").jobs]
    assert ("judge", "serve_rate120") in jobs
    assert all(rule != "measure" for rule, _ in jobs)


def test_verify_judges_again(tree):
    path = next(iter(layout.files(tree.folder / "results/nap", "decisions")))
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | {"good": not record["good"]}))
    printed = tree.run("verify").stdout
    assert printed.count("decisions/") == printed.count("by attainments") == 1
