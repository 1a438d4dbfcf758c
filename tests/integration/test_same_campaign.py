"""Another way to write, name or place the same campaign measures nothing again."""

import copy
import csv
import json
import os
import shutil

import pytest
import yaml

from llm_energy.results.result import checksum_of
from tests.integration.workflow import CAMPAIGN, Tree, changed, finished

pytestmark = pytest.mark.integration


def test_a_clone_that_ships_its_results_measures_nothing(measured, tmp_path):
    """No metadata, no cache, and the equal time stamps of an unpacked archive."""
    clone = Tree.create(tmp_path / "clone")
    shutil.copytree(measured.folder / "results", clone.folder / "results", dirs_exist_ok=True)
    for path in clone.folder.rglob("*"):
        os.utime(path, (1.7e9, 1.7e9))
    assert clone.planned() == 0


def test_lost_metadata_measures_nothing(measured):
    shutil.rmtree(measured.folder / ".snakemake")
    assert measured.planned() == 0


APART = {
    "one": {"settings": {"batch_size": 1}},
    "two": {"settings": {"batch_size": 2}},
}


@pytest.mark.parametrize(
    "experiments",
    [
        {"nap": {"axes": {"batch_size": [1, 2], "output_tokens": [4]}}},
        APART,
        {"siesta": {"axes": {"batch_size": [1, 2]}}},
        {"nap": {"axes": {"batch_size": [1]}}, "rest": {"axes": {"batch_size": [2]}}},
        {"nap": {"linked": [{"batch_size": [2, 1], "output_tokens": [4, 4]}]}},
    ],
    ids=["an axis of one value", "no axis", "a renamed group", "a moved experiment", "linked axes"],
)
def test_other_names_measure_nothing_and_make_the_summary_again(measured, experiments):
    measured.write_campaign(changed(experiments=experiments))
    graph = measured.graph()
    assert graph.measurements == []
    assert "report" in graph.rules


def test_tables_and_report_have_todays_names(measured):
    measured.write_campaign(changed(experiments=APART, reference="one"))
    assert finished(measured.run(check=True).stdout) == []
    results = measured.folder / "results/nap"
    with (results / "summary/experiments.csv").open() as file:
        assert {row["experiment"] for row in csv.DictReader(file)} == {"one", "two"}
    assert "nap_batch1" not in (results / "report.html").read_text()
    assert "nap_batch1" in measured.of("one")[0].read_text()  # as it was measured


def test_what_the_campaign_no_longer_names_is_listed(measured):
    measured.write_campaign(changed(experiments={"one": APART["one"]}, cycles=1))
    line = "No longer in the campaign's file: 3 results (nap_batch1: 1, nap_batch2: 2)"
    for target in ("plan", "status"):
        assert line in measured.run(target, check=True).stdout


def in_older_layout(tree):
    """Put every result, and what belongs to it, where it lay under the name of its experiment."""
    names = tree.campaign().names
    for kind in ("measurements", "series", "requests", "failures", "decisions"):
        for folder in list((tree.folder / "results/nap" / kind).glob("*")):
            old = folder.parent / names[folder.name] / folder.name
            old.parent.mkdir()
            folder.rename(old)
    for path in (tree.folder / "results/nap/measurements").glob("*/*/*.json"):
        text = path.read_text()
        for spec, name in names.items():
            text = text.replace(f"requests/{spec}/", f"requests/{name}/{spec}/")
        content = json.loads(text)
        path.write_text(json.dumps(content | {"checksum": checksum_of(content)}))


def test_results_of_the_older_layout_count_and_are_linked_into_place(measured):
    in_older_layout(measured)
    before = {p: p.read_bytes() for p in (measured.folder / "results").rglob("cycle-*.json")}
    assert measured.results() == []
    graph = measured.graph()
    assert graph.measurements == []
    assert "4 results lie in folders of the older layout" in graph.output
    assert measured.results() == []  # a dry run writes nothing

    measured.write_campaign(changed(experiments=APART))
    assert finished(measured.run(check=True).stdout) == []
    assert sorted(p.read_bytes() for p in measured.results()) == sorted(before.values())
    assert {p: p.read_bytes() for p in before} == before
    assert "4 results" in measured.run("verify", check=True).stdout
    again = measured.graph()
    assert "older layout" not in again.output
    assert again.rules == set()


def test_the_order_of_keys_and_the_way_of_writing_numbers_mean_nothing(measured):
    reordered = dict(reversed(list(copy.deepcopy(CAMPAIGN).items())))
    reordered["defaults"] = dict(reversed(list(CAMPAIGN["defaults"].items())))
    reordered["measurement"]["baseline_s"] = 0
    measured.write_campaign(reordered)
    assert measured.planned() == 0


def test_touching_every_file_measures_nothing(measured):
    for path in measured.folder.rglob("*"):
        if "results" not in path.parts and ".cache" not in path.parts and path.is_file():
            os.utime(path)
    assert measured.planned() == 0


@pytest.mark.parametrize(
    "file",
    [
        "Snakefile",
        "rules/measure.smk",
        "scripts/measure.py",
        "scripts/llm_energy/measurement/measurement.py",
        "scripts/worker/supervisor.py",
        "scripts/worker/engines/sleep.py",
        "config/nap.yaml",
        "workflow-profile/config.yaml",
    ],
)
def test_a_comment_in_a_file_measures_nothing(measured, file):
    path = measured.folder / file
    path.write_text(path.read_text() + "\n# a comment\n")
    assert measured.planned() == 0


def test_a_reformatted_file_measures_nothing(measured):
    """The campaign in flow style, and Python with other blank lines."""
    campaign = yaml.safe_load(measured.config.read_text())
    measured.config.write_text(yaml.safe_dump(campaign, default_flow_style=True, width=60))
    for name in ("measurement/measurement.py", "campaign/identity.py"):
        path = measured.folder / "scripts/llm_energy" / name
        path.write_text(path.read_text().replace("\n\n\n", "\n\n"))
    assert measured.planned() == 0
