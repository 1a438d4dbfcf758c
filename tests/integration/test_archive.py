"""A campaign as one file, and a reader who has nothing but that file."""

import hashlib
import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml

from tests.integration.archives import ARCHIVE, archived, unpacked
from tests.integration.workflow import Tree
from tests.ro_crate import assert_valid, report

__all__ = ["archived", "unpacked"]


pytestmark = pytest.mark.integration
TOKEN = "hf_" + 36 * "x"
STEPS = ["environment", "model", "prompts", "measure", "report"]


def copied(source, target):
    """A copy without modes; with times, by which Snakemake tells what has to be made again."""
    shutil.copyfile(source, target)
    os.utime(target, ns=(Path(source).stat().st_atime_ns, Path(source).stat().st_mtime_ns))


def test_the_same_input_gives_the_same_bytes_wherever_it_lies(archived, tmp_path):
    other = Tree(tmp_path / "elsewhere")
    shutil.copytree(archived.folder, other.folder, copy_function=copied)
    listed = subprocess.run(
        ["git", "-C", str(other.folder), "ls-files", "--stage"],
        capture_output=True,
        text=True,
        check=True,
    )
    for line in listed.stdout.splitlines():
        if line.startswith("100755"):
            (other.folder / line.partition("\t")[2]).chmod(0o755)
    before = (archived.folder / ARCHIVE).read_bytes()
    (other.folder / ARCHIVE).unlink()
    other.run("archive", check=True)
    assert (other.folder / ARCHIVE).read_bytes() == before
    told = (other.folder / f"{ARCHIVE}.sha256").read_text()
    assert told == f"{hashlib.sha256(before).hexdigest()}  nap.tar.gz\n"


def test_the_members_say_nothing_of_who_packed_them_and_when(archived):
    with tarfile.open(archived.folder / ARCHIVE) as archive:
        members = archive.getmembers()
    names = [member.name for member in members]
    assert names[:-1] == sorted(names[:-1])
    assert names[-1] == "nap/SHA256SUMS"
    assert {(m.uid, m.gid, m.uname, m.gname) for m in members} == {(0, 0, "", "")}
    assert len({m.mtime for m in members}) == 1
    assert {m.mode for m in members} == {0o644, 0o755}


def test_the_code_is_the_one_in_use_and_its_difference_to_the_commit_is_stored(archived, unpacked):
    code = json.loads((unpacked / "provenance/code.json").read_text())
    head = subprocess.run(
        ["git", "-C", str(archived.folder), "rev-parse", "HEAD"], capture_output=True, text=True
    )
    assert code["commit"] == head.stdout.strip()
    assert code["dirty"] is True
    assert code["changed"] == ["docs/backends.md"]
    assert code["added"] == ["scripts/worker/engines/mine.py"]
    assert (unpacked / "workflow/docs/backends.md").read_text().endswith("\nOne more line.\n")
    assert "+One more line." in (unpacked / "provenance/code.patch").read_text()
    assert (unpacked / "workflow/scripts/worker/engines/mine.py").exists()
    assert not list(unpacked.rglob("notes.txt"))
    assert not list(unpacked.rglob("pillow.gguf"))


def test_it_holds_what_a_reader_needs_to_know(archived, unpacked):
    results = unpacked / "results/nap"
    (prompts,) = results.glob("environment/prompts-sheep-*.json")
    assert len(json.loads(prompts.read_text())["token_ids"]) == 4
    (model,) = results.glob("environment/model-pillow-*.json")
    assert list(json.loads(model.read_text())["files"]) == ["pillow.gguf"]
    assert list(results.glob("environment/host-*.json"))
    assert list(results.glob("environment/sleep-*.txt"))
    assert list(results.glob("runs/*.json"))
    plan = json.loads((unpacked / "provenance/plan.json").read_text())
    assert [(c["experiment"], c["cycle"]) for c in plan["cells"]] == archived.plan()
    order = (unpacked / "provenance/order.csv").read_text().splitlines()[1:]
    assert [line.split(",")[:2] for line in order] == [[str(n), str(n)] for n in range(4)]
    readme = (unpacked / "README.md").read_text()
    assert "| nap_batch1 | 2 | Throughput |" in readme
    assert "with 2 changed or added files" in readme
    assert str(archived.folder) not in readme


def entities_of(folder):
    graph = json.loads((folder / "ro-crate-metadata.json").read_text())["@graph"]
    return {entity["@id"]: entity for entity in graph}


@pytest.mark.long
def test_a_validator_of_provenance_run_crates_accepts_it(unpacked, tmp_path):
    assert_valid(unpacked, tmp_path)


def test_the_crate_holds_every_file_with_its_checksum(unpacked):
    entities = entities_of(unpacked)
    files = {unquote(i): e["sha256"] for i, e in entities.items() if "sha256" in e}
    sums = dict(
        reversed(line.split("  ", 1)) for line in (unpacked / "SHA256SUMS").read_text().splitlines()
    )
    assert sums.pop("ro-crate-metadata.json")
    assert files == sums
    assert len(entities["./"]["hasPart"]) == len(files) + 1  # the folder of results


def test_every_job_of_the_campaign_is_an_action_of_its_step(archived, unpacked):
    entities = entities_of(unpacked)
    engine = entities["#engine"]
    assert entities[engine["instrument"]["@id"]]["name"] == "Snakemake"
    controls = [entities[each["@id"]] for each in engine["object"]]
    assert {c["instrument"]["@id"] for c in controls} == {f"#step/{name}" for name in STEPS}
    told = report(unpacked)
    assert told.count("  step: #step/measure\n") == 4
    for name in set(STEPS) - {"measure"}:
        assert told.count(f"  step: #step/{name}\n") == 1
    path = archived.results()[0].relative_to(archived.folder / "results/nap")
    result = json.loads((unpacked / "results/nap" / path).read_text())
    action = entities[f"#job/{path.with_suffix('')}"]
    assert (action["startTime"], action["endTime"]) == (result["started"], result["finished"])
    assert action["agent"] == {"@id": "https://orcid.org/0000-0002-1825-0097"}
    assert "resourceUsage" not in action
    assert "No energy: no_meter." in action["description"]
    assert len(action["object"]) == 4  # configuration, environment, model, prompts
    assert len(action["result"]) == 2


def test_without_snakemake_s_records_it_names_the_jobs_that_are_missing(
    archived, unpacked, tmp_path
):
    tree = archived.copy(tmp_path / "tree")
    shutil.rmtree(tree.folder / ".snakemake/metadata")
    tree.run("archive", check=True)
    with tarfile.open(tree.folder / ARCHIVE) as archive:
        file = archive.extractfile("nap/ro-crate-metadata.json")
        assert file is not None
        entities = {entity["@id"]: entity for entity in json.load(file)["@graph"]}
    missing = ", ".join(name for name in STEPS if name != "measure")
    assert f"the jobs of the steps {missing}: the records" in entities["./"]["description"]
    assert "No action stands" not in entities_of(unpacked)["./"]["description"]
    assert len([i for i in entities if i.startswith("#job/")]) == 4


def test_its_deposit_at_zenodo_follows_from_the_citation(unpacked):
    citation = yaml.safe_load((unpacked / "CITATION.cff").read_text())
    deposit = json.loads((unpacked / ".zenodo.json").read_text())
    assert deposit["title"] == citation["title"] == "What a nap costs"
    assert deposit["creators"] == [{"name": "Doe, Jane", "orcid": "0000-0002-1825-0097"}]
    assert (deposit["upload_type"], deposit["license"]) == ("dataset", "CC-BY-4.0")
    assert deposit["related_identifiers"] == [
        {"identifier": "10.1234/nap", "relation": "isSupplementTo"}
    ]


def test_no_secret_leaves_the_machine(archived, tmp_path):
    tree = archived.copy(tmp_path / "tree")
    (tree.folder / ARCHIVE).unlink()
    record = tree.folder / "results/nap/failures/0123456789ab/cycle-01.attempt-1.json"
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps({"reason": "engine_failed", "message": f"refused {TOKEN}"}))
    done = tree.run("archive")
    assert done.returncode != 0
    assert f"{record.relative_to(tree.folder)} holds a Hugging Face token" in done.stdout
    assert not (tree.folder / ARCHIVE).exists()
    assert TOKEN not in done.stdout
