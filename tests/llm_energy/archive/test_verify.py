"""Decisions must follow from the first cycles, and records that results refer to must be there."""

import errno
import json
import shutil

import pytest
from tests import damaged
from tests.llm_energy import make_results, make_side_files

from llm_energy.analysis.decision import decide
from llm_energy.analysis.derived_records import write_record
from llm_energy.analysis.record_checks import named_records
from llm_energy.archive.known_jobs import read_results
from llm_energy.archive.verify import CHECKSUM_SINCE, verify_results
from llm_energy.campaign.campaign_file import AdaptiveCycles
from llm_energy.results.result import read_result
from llm_energy.workflow.decisions import decision_path

ADAPTIVE = AdaptiveCycles(first=3, maximum=20, target_relative_half_width=0.02)


@pytest.fixture
def decided(tmp_path):
    """Every experiment of a campaign of three cycles has decided."""
    paths = make_results.make_campaign(tmp_path, cycles=3)
    results = [read_result(tmp_path / path) for path in paths]
    for name in make_results.EXPERIMENTS:
        own = [result for result in results if result.experiment == name]
        decision = decide(own, ADAPTIVE.target_relative_half_width)
        path = decision_path(ADAPTIVE, decision.spec_hash)
        write_record(tmp_path / path, decision)
    return tmp_path


def test_decisions_that_follow_are_no_problem(decided):
    verdict = verify_results(decided)
    assert verdict.problems == []
    assert verdict.looked_at == "12 results"


def test_a_decision_that_does_not_follow_is_named(decided):
    path = sorted(decided.glob("decisions/*/*.json"))[0]
    parts = path.read_text().partition('"cycles": ')
    path.write_text(f"{parts[0]}{parts[1]}99\n}}\n")
    (problem,) = verify_results(decided).problems
    assert problem.startswith(f"{path.relative_to(decided).as_posix()}: says 99 cycles, ")


def test_a_decision_that_cannot_be_read_is_named(decided):
    path = sorted(decided.glob("decisions/*/*.json"))[0]
    path.write_text("{")
    assert verify_results(decided).problems == [
        f"{path.relative_to(decided).as_posix()}: cannot be read"
    ]


def test_anchors_are_checked_as_results_are(decided):
    path = next(decided.glob("measurements/*/cycle-01.json"))
    anchor = decided / "anchors" / path.relative_to(decided / "measurements")
    anchor.parent.mkdir(parents=True)
    anchor.write_bytes(path.read_bytes())
    assert verify_results(decided).looked_at == "13 results (12 measurements, 1 anchor)"
    assert verify_results(decided).problems == []
    anchor.write_text("{")
    (problem,) = verify_results(decided).problems
    assert problem.startswith("anchors/")


@pytest.fixture
def recorded(tmp_path):
    """Two results of the present protocol with their records, and the names of these by kind."""
    for cycle in (1, 2):
        made = make_results.make_result(cycle=cycle, protocol=CHECKSUM_SINCE)
        result = make_side_files.with_numbers(tmp_path, made)
        make_results.put_result(tmp_path / make_results.path_of(result), result)
    make_results.put_records(tmp_path, result)
    names = named_records(result)
    return tmp_path, {kind: next(n for n in names if n.startswith(kind)) for kind in KINDS}


KINDS = ["runs/", *(f"environment/{kind}" for kind in ("llamacpp", "model", "prompts", "host"))]
"""Beginnings of the names of records."""


@pytest.mark.parametrize("kind", KINDS)
def test_a_record_that_is_gone_is_named_once(recorded, kind):
    folder, names = recorded
    assert verify_results(folder).problems == []
    (folder / names[kind]).unlink()
    assert verify_results(folder).problems == [
        f"{names[kind]}: is not there; 2 results measured with it"
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_a_record_that_is_empty_is_named(recorded, kind):
    folder, names = recorded
    path = folder / names[kind]
    path.write_bytes(b"")
    problems = [p for p in verify_results(folder).problems if p.startswith(names[kind])]
    said = "is empty" if path.suffix == ".json" else "has not the SHA-256 of its name"
    assert problems == [f"{names[kind]}: {said}; 2 results measured with it"]
    if path.suffix == ".json":
        path.write_text("{}")
        (problem,) = [p for p in verify_results(folder).problems if p.startswith(names[kind])]
        assert problem.startswith(f"{names[kind]}: lacks ")


def test_the_record_of_a_run_without_end_is_a_note_and_no_problem(recorded):
    folder, names = recorded
    path = folder / names["runs/"]
    path.write_text(json.dumps(json.loads(path.read_text()) | {"ended": None}))
    other = path.with_name("z.json")  # a set of the same run
    other.write_bytes(path.read_bytes())
    verdict = verify_results(folder)
    assert verdict.problems == []
    (note,) = [note for note in verdict.notes if "no end" in note]
    assert note.startswith(f"{names['runs/']}, runs/z.json: no end is recorded: the run goes on")


@pytest.mark.parametrize("harm", [*damaged.NO_FILE, *damaged.NO_RECORD], ids=lambda h: h.__name__)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_record_is_named_and_stops_no_other_check(recorded, kind, harm):
    folder, names = recorded
    (folder / make_results.path_of(make_results.make_result(cycle=2, protocol=3))).unlink()
    damaged.replace(folder / names[kind], harm)
    problems = verify_results(folder).problems
    assert any(problem.startswith(f"{names[kind]}: ") for problem in problems)


@pytest.mark.parametrize("harm", damaged.NO_FILE, ids=lambda h: h.__name__)
def test_raw_data_that_are_no_file_are_named(recorded, harm):
    folder, _ = recorded
    (requests, *_) = sorted((folder / "requests").rglob("*.parquet"))
    damaged.replace(requests, harm)
    (problem,) = verify_results(folder).problems
    nothing = harm is damaged.link_to_nowhere
    fault = "is not there" if nothing else "is not readable: no regular file"
    assert problem.endswith(f"its {requests.relative_to(folder)} {fault}")


@pytest.mark.parametrize(
    "name", ["measurements/0123456789ab/cycle-01 (copy).json", "failures/x/cycle-1.attempt-a.json"]
)
def test_a_copy_that_somebody_left_is_named(recorded, name):
    folder, _ = recorded
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    result = folder / make_results.path_of(make_results.make_result(protocol=CHECKSUM_SINCE))
    (folder / name).write_bytes(result.read_bytes())
    (problem,) = verify_results(folder).problems
    assert problem.startswith(f"{name}: ")
    assert "is the path of no " in problem


@pytest.mark.parametrize("harm", ["no result", "no raw data"])
def test_what_was_measured_again_for_its_damage_is_a_note(recorded, harm):
    """Else a result that was damaged once would refuse every archive."""
    folder, _ = recorded
    kept = folder / "superseded/20260101T000000Z"
    for name in ("measurements", "requests"):
        shutil.copytree(folder / name, kept / name)
    result, requests = (
        min((kept / name).rglob("cycle-*")) for name in ("measurements", "requests")
    )
    result.write_bytes(b"") if harm == "no result" else requests.unlink()
    verdict = verify_results(folder)
    assert verdict.problems == []
    (note,) = verdict.notes
    assert note.startswith(f"{result.relative_to(folder)}: ")
    assert note.endswith("; it was set aside for that")
    found = {path for path, _ in read_results(folder)}
    assert (str(result.relative_to(folder)) in found) == (harm == "no raw data")


def test_a_package_list_that_this_user_may_not_read_is_named(recorded, monkeypatch):
    def refuse(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    folder, names = recorded
    monkeypatch.setattr("llm_energy.analysis.record_checks.file_sha256", refuse)
    (problem,) = verify_results(folder).problems
    assert problem.startswith(
        f"{names['environment/llamacpp']}: is not readable: Permission denied"
    )
