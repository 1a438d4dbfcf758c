"""A campaign as one file, and a reader who has nothing but that file."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml

from llm_energy.archive.reproduce import compare
from llm_energy.archive.verify import verify_files, verify_results
from llm_energy.results import layout
from tests.integration.workflow import CAMPAIGN, PATIENCE_S, Tree
from tests.ro_crate import assert_valid, report

pytestmark = pytest.mark.integration

ARCHIVE = Path("results/nap/archive/nap.tar.gz")
TOKEN = "hf_" + 36 * "x"
PUBLICATION = {
    "title": "What a nap costs",
    "authors": [{"name": "Doe, Jane", "orcid": "0000-0002-1825-0097"}],
    "licence": "CC-BY-4.0",
    "related": [{"identifier": "10.1234/nap"}],
}
STEPS = ["environment", "model", "prompts", "measure", "report"]


@pytest.fixture(scope="module")
def archived(measured_template, tmp_path_factory):
    """The measured tree as a repository with a change that nobody committed, and its archive."""
    tree = measured_template.copy(tmp_path_factory.mktemp("archived") / "tree")
    folder = tree.folder
    tree.write_campaign(CAMPAIGN | {"publication": PUBLICATION})
    author = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.org"]
    for command in (
        ["init", "-q"],
        ["add", ".", ":!pillow.gguf"],
        [*author, "commit", "-qm", "All"],
    ):
        subprocess.run(["git", "-C", str(folder), *command], check=True)
    with (folder / "docs/backends.md").open("a") as file:
        file.write("\nOne more line.\n")
    (folder / "scripts/worker/engines/mine.py").write_text("# an engine of somebody's own\n")
    (folder / "notes.txt").write_text("none of the reader's business\n")
    done = tree.run("archive", check=True)
    assert "4 results: no problem" in done.stdout
    assert f"Archive: {ARCHIVE} (" in done.stdout
    return tree


@pytest.fixture(scope="module")
def unpacked(archived, tmp_path_factory):
    """Return the files that a reader has; not to be changed."""
    folder = tmp_path_factory.mktemp("reader")
    with tarfile.open(archived.folder / ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return folder / "nap"


@pytest.fixture
def copy(unpacked, tmp_path):
    """Such a folder to change."""
    shutil.copytree(unpacked, tmp_path / "nap", ignore=shutil.ignore_patterns("reproduced"))
    return tmp_path / "nap"


def call(folder, *arguments):
    """The one command, without the user's home, Docker or a GPU."""
    return subprocess.run(
        ["./reproduce.sh", *arguments],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "WORKFLOW_PYTHON": sys.executable, "HOME": str(folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_S,
    )


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


def test_nothing_in_it_has_to_be_made_again(unpacked):
    """The specification hashes are those of the results: same configuration, same code."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", "workflow/Snakefile", "--dry-run"]
    command += ["--cores", "1", "--profile", "workflow/workflow-profile"]
    command += ["--configfile", "campaign.yaml"]
    done = subprocess.run(command, cwd=unpacked, capture_output=True, text=True)
    assert "Nothing to be done" in done.stdout + done.stderr


@pytest.fixture(scope="module")
def reproduced(unpacked):
    """The files that the reader made again, and the output of the command."""
    done = call(unpacked)
    assert done.returncode == 0, done.stdout
    return unpacked / "reproduced/results/nap", done.stdout


def test_a_reader_makes_every_table_and_figure_again(unpacked, reproduced):
    made, printed = reproduced
    assert "4 results: no problem" in printed
    derived = [path for path in made.rglob("*.[cshjp]*") if path.is_file()]
    assert {"measurements.csv", "throughput.svg", "report.html"} <= {p.name for p in derived}
    assert "tables, figures and pages:" in printed
    shipped = unpacked / "results/nap"
    assert compare(shipped, made).problems == []
    assert (made / "summary/measurements.csv").read_bytes() == (
        shipped / "summary/measurements.csv"
    ).read_bytes()


def test_a_table_that_does_not_follow_from_the_raw_data_is_named(reproduced, copy):
    table = copy / "results/nap/summary/experiments.csv"
    table.write_text(table.read_text().replace("nap_batch1", "nap_batch9", 1))
    verdict = compare(copy / "results/nap", reproduced[0])
    (problem,) = verdict.problems
    assert problem.startswith("summary/experiments.csv: ")


def test_verifying_names_every_problem_and_fails(copy):
    first, second, *_ = layout.files(copy / "results/nap", "measurements")
    first.write_text(first.read_text().replace('"cycle": 1', '"cycle": 7'))
    second.unlink()
    done = call(copy, "verify")
    name, gone = (path.relative_to(copy).as_posix() for path in (first, second))
    below = Path(name).relative_to("results/nap").as_posix()
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        f"{name}: changed: its sha256 is not the one in SHA256SUMS",
        f"{gone}: listed in SHA256SUMS, and not there",
        f"{len((copy / 'SHA256SUMS').read_text().splitlines())} files: 2 problems",
        f"{below}: its cycle is 7, its path says 1",
        "3 results: 1 problem",
    ]


def test_a_file_that_was_put_in_later_is_named(copy):
    (copy / "results/nap/failures/x").mkdir(parents=True)
    (copy / "results/nap/failures/x/cycle-01.attempt-1.json").write_text("{}")
    (problem,) = verify_files(copy).problems
    assert problem == "results/nap/failures/x/cycle-01.attempt-1.json: not listed in SHA256SUMS"


def rewritten(change):
    def apply(_folder, path):
        result = json.loads(path.read_text())
        change(result)
        path.write_text(json.dumps(result))

    return apply


def requests_of(folder, path):
    return folder / json.loads(path.read_text())["side_files"]["requests"]["path"]


ALTERED = {
    "another schema": (
        rewritten(lambda r: r.update(watts=3)),
        "not a result: watts",
    ),
    "another specification": (
        rewritten(lambda r: r["spec"].update(protocol=99)),
        "its hash of its spec is ",
    ),
    "another throughput": (
        rewritten(lambda r: r.update(output_tokens_per_second=1e6)),
        "its throughput × duration is not its count of output tokens",
    ),
    "other tokens": (
        rewritten(
            lambda r: (
                r["tokens"].update(output=2 * r["tokens"]["output"]),
                r.update(output_tokens_per_second=2 * r["output_tokens_per_second"]),
            )
        ),
        "its requests give tokens.output ",
    ),
    "no requests": (
        lambda folder, path: requests_of(folder, path).unlink(),
        "is not there",
    ),
    "other requests": (
        lambda folder, path: requests_of(folder, path).write_bytes(b"PAR1"),
        "was changed: its sha256 is not the recorded one",
    ),
}


CHANGED = "it was changed after it was written: its checksum does not fit"


@pytest.mark.parametrize("case", ALTERED)
def test_a_result_that_is_not_what_it_says_is_named(copy, case):
    alter, expected = ALTERED[case]
    folder = copy / "results/nap"
    assert verify_results(folder).problems == []
    path = next(layout.files(folder, "measurements"))
    alter(folder, path)
    problems = verify_results(folder).problems
    name = path.relative_to(folder).as_posix()
    assert all(problem.startswith(name) for problem in problems)
    assert expected in problems[0]
    assert problems[1:] in ([], [f"{name}: {CHANGED}"])


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
