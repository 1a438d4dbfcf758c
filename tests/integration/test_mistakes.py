"""A user's mistake is told in one line each, before anything starts, without a traceback."""

import copy
import csv
import shutil
import subprocess

import pytest

from tests.integration.dag import graph_of
from tests.integration.workflow import CAMPAIGN, SNAKEMAKE, Tree

pytestmark = pytest.mark.integration


def refused(tree: Tree, *arguments: str) -> str:
    """The message of a command that refuses before it makes anything."""
    message = tree.refusal(*arguments)
    assert not (tree.folder / ".cache").exists()
    assert not (tree.folder / "results" / "nap").exists()
    return message


def test_every_mistake_of_a_campaign_is_reported_at_once_with_its_line(fresh):
    campaign = copy.deepcopy(CAMPAIGN)
    campaign["cyles"] = 2
    campaign["experiments"]["nap"]["axes"] = {"batch_sise": [1, 2]}
    campaign["defaults"]["engine"] = {"sleep": {"snore": 1}}
    fresh.write_campaign(campaign)
    text = refused(fresh)
    lines = [line for line in text.splitlines() if line.startswith("config/nap.yaml:")]
    assert len(lines) == 3
    assert any("cyles" in line and "cycles" in line for line in lines)
    assert any("batch_sise" in line and "batch_size" in line for line in lines)
    assert any("snore" in line for line in lines)


def test_a_default_campaign_that_is_no_yaml_is_reported_with_its_line(fresh):
    default = fresh.folder / "config" / "config.yaml"
    default.write_text("campaign: nap\nseed: [3\ncycles: 2\n")
    done = subprocess.run(
        [*SNAKEMAKE, "--dry-run"],
        cwd=fresh.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "\nconfig/config.yaml:3: not valid YAML: " in done.stdout
    assert "Traceback" not in done.stdout


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "config/nap.yaml: there is no such file; put a target before --configfile"),
        ("a: [3\nb: 2\n", "config/nap.yaml:2: not valid YAML: did not find expected ',' or ']'"),
        ("a:\n\tb: 1\n", "config/nap.yaml:2: not valid YAML: a tab; indent with spaces"),
        ("a: 1\nb: 2001-99-99\n", "config/nap.yaml:2: not valid YAML: month must be in 1..12"),
        ("a: 1\n[b]: 2\n", "config/nap.yaml:2: not valid YAML: found unhashable key"),
        ("# nothing\n", "config/nap.yaml:1: must be keys with values"),
    ],
)
def test_a_campaign_that_snakemake_cannot_read_is_reported_with_its_line(fresh, content, message):
    """Snakemake reads it before any rule, and names neither file nor line."""
    fresh.config.unlink()
    if content is not None:
        fresh.config.write_text(content)
    printed = refused(fresh).strip().splitlines()
    assert printed[-1].startswith(message)
    assert all(line.startswith("Using ") for line in printed[:-1])


def test_a_target_taken_for_a_campaign_is_reported_as_such(fresh):
    found = graph_of(fresh.folder, [*SNAKEMAKE[1:], "--configfile", "config/nap.yaml", "plan"])
    assert found.exit_code != 0
    message = "plan: there is no such file; put a target before --configfile and other options"
    assert found.output.strip().splitlines()[-1] == message


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("preflght", "preflght: unknown target; did you mean preflight?"),
        ("nap_batch_3", "nap_batch_3: unknown target; did you mean nap_batch"),
        ("xyz", "xyz: unknown target; known: all, archive, "),
        ("measure", "measure: makes many files; name one as the target: results/nap/measurements/"),
        ("compare", "compare: name its page as the target: results/NAME+NAME.html"),
        (
            "results/nap/reprot.html",
            "results/nap/reprot.html: no target makes this file; did you mean results/nap/report",
        ),
        (
            "results/other/report.html",
            "results/other/report.html: no file that campaign `nap` makes, whose results lie in "
            "results/nap; another campaign is named by --configfile",
        ),
        (
            "results/nap+other.html",
            "results/nap+other.html: no summary of other: measure it first",
        ),
        (
            "results/nap/measurements/0123456789ab/cycle-01.json",
            "results/nap/measurements/0123456789ab/cycle-01.json: no target makes this file; did ",
        ),
    ],
)
def test_a_misspelt_target_is_told_with_the_nearest(fresh, target, message):
    command = [target, *fresh.command()[1:]]  # as README.md writes it
    found = graph_of(fresh.folder, command)
    assert found.exit_code != 0
    assert found.output.strip().splitlines()[-1].startswith(message)


def test_a_misspelt_target_behind_the_options_is_one_too(fresh):
    found = graph_of(fresh.folder, [*fresh.command()[1:], "--cores", "1", "preflght"])
    assert found.exit_code != 0
    assert "preflght: unknown target; did you mean preflight?" in found.output


def test_results_that_can_lie_in_no_folder_are_reported(fresh):
    results = fresh.folder / "results"
    shutil.rmtree(results)
    results.symlink_to(fresh.folder / "nowhere")
    assert f"results is a link to {fresh.folder}/nowhere, which is no folder" in refused(fresh)
    results.unlink()
    results.mkdir()
    (results / "nap").touch()
    assert "results/nap is a file, no folder: results cannot lie there" in fresh.refusal()


def test_an_unpinned_model_names_the_target_that_pins_it_and_that_target_does(fresh):
    campaign = copy.deepcopy(CAMPAIGN)
    del campaign["models"]["pillow"]["source"]["sha256"]
    fresh.write_campaign(campaign)
    assert "lock" in refused(fresh)
    fresh.run("lock", check=True)
    assert (fresh.folder / "config" / "models.lock.yaml").exists()
    assert fresh.planned() == 4


def test_a_key_given_on_the_command_line_is_reported_as_such(fresh):
    assert "--config" in refused(fresh, "--config", "cycels=3")


def test_a_model_that_is_not_the_declared_one_stops_its_measurements(fresh):
    (fresh.folder / "pillow.gguf").write_bytes(b"another model")
    done = fresh.run()
    assert done.returncode != 0
    assert "pillow" in done.stdout
    assert "sha256" in done.stdout
    assert fresh.results() == []
    assert fresh.processes() == []


def test_a_failing_engine_is_reported_with_its_record_and_the_rest_is_measured(ready):
    campaign = copy.deepcopy(CAMPAIGN)
    campaign["experiments"]["broken"] = {"settings": {"engine": {"sleep": {"wave_fault": "raise"}}}}
    ready.write_campaign(campaign)
    done = ready.run()
    assert done.returncode != 0
    assert "broken cycle 1" in done.stdout
    assert "engine_error" in done.stdout
    record = f"results/nap/failures/{ready.campaign().experiment('broken').spec_hash}/"
    assert record in done.stdout
    assert len(ready.results()) == 4
    assert (ready.folder / "results/nap/report-partial.html").exists()
    assert not (ready.folder / "results/nap/report.html").exists()
    with (ready.folder / "results/nap/campaign.tsv").open() as file:
        rows = list(csv.DictReader(file, dialect="excel-tab"))
    assert [row["status"] for row in rows if row["experiment"] == "broken"] == ["failed"] * 2
    assert [row["status"] for row in rows if row["experiment"] != "broken"] == ["done"] * 4
    status = ready.run("status", check=True).stdout
    assert "Campaign nap: 6 measurements: 4 done, 2 failed" in status
    assert f"broken cycle 1: engine_error, see {record}" in status
    assert ready.processes() == []
