"""The crate of results of every kind: metered, in a container, failed, anchors, superseded."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from tests.llm_energy import make_results
from tests.llm_energy.make_results import put_result
from tests.ro_crate import assert_valid, report

from llm_energy.archive.crate import METADATA, About, crate_metadata
from llm_energy.archive.jobs import STEPS
from llm_energy.archive.known_jobs import Records, failed_jobs, measuring_job, read_results
from llm_energy.archive.pack import Member
from llm_energy.campaign.publication import Author
from llm_energy.results.failures import write_failure
from llm_energy.system.files import sha256_of, write_atomically

TOP = "results/synthetic"
IMAGE = "sha256:" + 64 * "a"
IN_CONTAINER = make_results.make_result(metered=True).environment.model_copy(
    update={"runtime": "docker", "image_digest": IMAGE}
)
FAILURE = {
    "experiment": make_results.REFERENCE,
    "cycle": 2,
    "attempt": 1,
    "reason": "backend_lost",
    "message": "it went away",
    "started": "2026-11-24T09:00:12.000+00:00",
    "failed": "2026-11-24T09:00:20.000+00:00",
    "energy_spent": {"energy_joules": 12.5, "reason": None},
}
ABOUT = About(
    title="What a batch costs",
    description="Some results.",
    licence="CC-BY-4.0",
    published="2026-11-24",
    authors=[
        Author(name="Doe, Jane", orcid="0000-0002-1825-0097", affiliation="Somewhere"),
        Author(name="The Group"),
    ],
    keywords=["energy"],
    results=TOP,
    commit="0123456789abcdef",
    snakemake=["9.26.0", "9.27.1"],
)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """The files that such a campaign leaves in `results/synthetic`."""
    folder = tmp_path_factory.mktemp("crate") / TOP
    metered = make_results.make_result(metered=True, environment=IN_CONTAINER)
    unmetered = make_results.make_result(cycle=2, position=1)
    for name, result in {
        make_results.path_of(metered): metered,
        make_results.path_of(unmetered): unmetered,
        make_results.path_of(unmetered).replace("measurements/", "anchors/"): unmetered,
        f"superseded/20261124/{make_results.path_of(metered)}": metered,
    }.items():
        put_result(folder / name, result)
    write_failure(folder, make_results.path_of(unmetered), 1, FAILURE)
    packages = f"llamacpp-{IN_CONTAINER.packages_sha256[:12]}.txt"
    record = {
        "backend": "llamacpp",
        "environment_hash": IN_CONTAINER.environment_hash,
        "packages": packages,
        "image": IMAGE,
        "repo_digest": "ghcr.io/some/engine@sha256:" + 64 * "b",
        "base_image": "debian@sha256:" + 64 * "c",
    }
    name = f"environment/llamacpp-{sha256_of(record)[:12]}.json"
    write_atomically(folder / name, json.dumps(record).encode())
    return folder


def jobs_in(results):
    records = Records(results, TOP)
    measuring = [measuring_job(path, r, records, top=TOP) for path, r in read_results(results)]
    return [*measuring, *failed_jobs(results, top=TOP)]


def members_of(results):
    """Files as an archive has them, with stand-ins for the workflow's."""
    code = ["workflow/Snakefile", *(step.script for step in STEPS.values())]
    made = {name: Member(b"a file") for name in ("README.md", "campaign.yaml", *code)}
    return made | {
        f"{TOP}/{path.relative_to(results).as_posix()}": Member(path)
        for path in results.rglob("*.json")
    }


@pytest.fixture(scope="module")
def entities(results):
    text = crate_metadata(ABOUT, members_of(results), jobs_in(results))
    return {each["@id"]: each for each in json.loads(text)["@graph"]}


def job(path):
    return f"#job/{path.removesuffix('.json')}"


METERED = make_results.path_of(make_results.make_result())
UNMETERED = METERED.replace("cycle-01", "cycle-02")


def test_every_version_of_snakemake_that_ran_the_campaign_is_named(entities):
    engines = [entities[each["@id"]] for each in entities["#engine"]["instrument"]]
    assert [engine["version"] for engine in engines] == ["9.26.0", "9.27.1"]


def test_what_was_measured_of_a_job_is_there_in_joules_with_where_they_are_defined(entities):
    energy = make_results.make_result(metered=True).energy
    used = entities[job(METERED)]["resourceUsage"]
    values = {entities[each["@id"]]["name"]: entities[each["@id"]] for each in used}
    assert values["energy_joules"]["value"] == energy.energy_joules
    assert values["warmup_energy_joules"]["value"] == energy.warmup_energy_joules
    assert {each["unitCode"] for each in values.values()} == {"https://qudt.org/vocab/unit/J"}
    file, _, pointer = values["energy_joules"]["propertyID"].partition("#/")
    assert file == "workflow/config/schemas/result.schema.yaml"
    assert pointer == "$defs/Energy/properties/energy_joules"
    assert "SIMULATED" in entities[job(METERED)]["description"]


def test_what_was_not_measured_is_absent_with_its_reason(entities):
    action = entities[job(UNMETERED)]
    assert "resourceUsage" not in action
    assert action["description"].endswith("No energy: no_meter.")


def test_a_failed_attempt_says_why_and_what_it_took(entities):
    action = entities[f"#job/failures{UNMETERED.removeprefix('measurements')[:-5]}.attempt-1"]
    assert action["actionStatus"] == "http://schema.org/FailedActionStatus"
    assert action["error"] == "backend_lost: it went away"
    assert (action["startTime"], action["endTime"]) == (FAILURE["started"], FAILURE["failed"])
    assert entities[action["resourceUsage"]["@id"]]["value"] == 12.5


def test_a_job_in_a_container_names_its_image(entities):
    assert "containerImage" not in entities[job(UNMETERED)]
    image = entities[entities[job(METERED)]["containerImage"]["@id"]]
    assert image["@type"] == "ContainerImage"
    assert image["sha256"] == 64 * "a"
    assert (image["registry"], image["name"]) == ("ghcr.io", "some/engine")
    assert "built on debian@sha256:" in image["description"]


def test_anchors_and_superseded_results_have_jobs_of_their_own(entities):
    superseded = f"superseded/20261124/{METERED}"
    assert entities[job(superseded)]["result"] == {"@id": f"{TOP}/{superseded}"}
    anchor = UNMETERED.replace("measurements/", "anchors/")
    assert entities["#control/anchor"]["object"] == {"@id": job(anchor)}
    assert entities["#control/anchor"]["instrument"] == {"@id": "#step/anchor"}


def test_the_authors_are_the_agents(entities):
    agents = [{"@id": "https://orcid.org/0000-0002-1825-0097"}, {"@id": "#author-2"}]
    assert entities[job(METERED)]["agent"] == agents
    assert [entities[each["@id"]]["@type"] for each in agents] == ["Person", "Organization"]
    assert entities["./"]["license"] == {"@id": "https://spdx.org/licenses/CC-BY-4.0"}


def test_it_says_which_jobs_nobody_knows(entities, results):
    assert "the steps environment, model, prompts, report" in entities["./"]["description"]
    nobody = replace(ABOUT, authors=[])
    text = crate_metadata(nobody, members_of(results), jobs_in(results))
    assert "Actions have no agent: nobody is named who measured." in text
    assert '"agent"' not in text


def test_the_same_input_gives_the_same_text_in_whatever_order(results):
    members, jobs = members_of(results), jobs_in(results)
    backwards = dict(reversed(members.items()))
    assert crate_metadata(ABOUT, members, jobs) == crate_metadata(ABOUT, backwards, jobs)


@pytest.mark.long
def test_a_validator_accepts_it_and_runcrate_reads_it(results, tmp_path):
    crate = tmp_path / "crate"
    members = members_of(results)
    for name, member in members.items():
        (crate / name).parent.mkdir(parents=True, exist_ok=True)
        (crate / name).write_bytes(member.read())
    (crate / METADATA).write_text(crate_metadata(ABOUT, members, jobs_in(results)))
    assert_valid(crate, tmp_path)
    assert report(crate).count("action: #job/") == 5


def test_the_steps_are_the_rules_that_make_what_an_archive_holds():
    script_of = {}
    for path in (Path(__file__).parents[3] / "rules").glob("*.smk"):
        for text in re.split(r"^ *(?:rule|checkpoint) ", path.read_text(), flags=re.MULTILINE)[1:]:
            script = re.search(r"\.\./(scripts/\w+\.py)", text)
            if script and "output:" in text:
                script_of[text.partition(":")[0]] = f"workflow/{script[1]}"
    script_of |= {"anchor": script_of["measure"]}  # it uses that rule
    steps = {name: step.script for name, step in STEPS.items()}
    assert steps.items() <= script_of.items()
    assert script_of.keys() - steps.keys() == {"compare"}
