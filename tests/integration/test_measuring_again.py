"""Results are measured again only on request, and the old ones are then kept aside."""

import json
import shutil
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

FORCES = [["--forceall"], ["--forcerun", "measure"]]


@pytest.mark.parametrize("force", FORCES)
def test_forcing_does_not_overwrite_results(measured, force):
    before = {path: path.read_bytes() for path in measured.results()}
    assert measured.planned(*force) == 4
    message = measured.refusal(*force)
    assert "4 of the requested measurements have a result already" in message
    assert "--config remeasure=true" in message
    assert {path: path.read_bytes() for path in measured.results()} == before
    assert measured.runs() == []


def test_forcing_with_remeasure_keeps_the_old_results_aside(measured):
    before = sorted(path.read_bytes() for path in measured.results())
    force = ["--forcerun", "measure", "--config", "remeasure=true"]
    assert measured.measured(*force) == measured.plan()
    kept = sorted((measured.folder / "results/nap/superseded").rglob("cycle-*.json"))
    assert sorted(path.read_bytes() for path in kept) == before
    assert sorted(path.read_bytes() for path in measured.results()) != before


def test_remeasure_names_the_option_that_it_needs(measured):
    remeasure = ["-n", "--config", "remeasure=true"]
    hint = "remeasure=true measures again what --forcerun names; add: --forcerun measure"
    assert hint in measured.run(*remeasure, check=True).stdout
    assert hint not in measured.run(*remeasure, "--forcerun", "measure", check=True).stdout


def given_energy(path: Path) -> None:
    """Edit a result so that its energy is valid: this machine may have no meter."""
    result = json.loads(path.read_text())
    result["energy"] |= {"energy_joules": 1.0, "reason": None}
    path.write_text(json.dumps(result))


def test_what_is_invalid_or_gone_is_measured_again_on_request_and_nothing_else(measured):
    """One result half written, one deleted, one that is well, and one that has energy only where
    this machine has a sensor: then it is well, and else no measurement gives it any. The
    environment was deleted too, and is made again."""
    schedule = sorted(measured.campaign().schedule, key=lambda planned: planned.position)
    paths = [measured.folder / "results/nap" / planned.result_path for planned in schedule]
    gone, valid, _, damaged = paths
    given_energy(valid)
    damaged.write_bytes(damaged.read_bytes()[:1000])
    before = {path: path.read_bytes() for path in paths}
    gone.unlink()
    shutil.rmtree(measured.folder / ".cache")

    plan = measured.plan()
    assert measured.graph().measurements == [plan[0]]
    assert measured.measured("--config", "remeasure=invalid") == [plan[0], plan[3]]
    assert valid.read_bytes() == before[valid]
    kept = (measured.folder / "results/nap/superseded").rglob("cycle-*.json")
    assert {path.read_bytes() for path in kept} == {before[damaged]}
    assert len(list((measured.folder / "results/nap/superseded").rglob("*.parquet"))) == 1
    assert measured.planned() == 0


def test_a_result_that_cannot_be_used_is_reported_and_no_complete_report_is_made(measured):
    damaged, other = measured.results()[:2]
    damaged.write_bytes(damaged.read_bytes()[:1000])
    done = measured.run()
    assert done.returncode != 0
    path = str(damaged.relative_to(measured.folder))
    remedy = "to measure it again and keep the file, put it before the options, and add: --config"
    assert f"1 of 4 results cannot be used; {remedy} remeasure=invalid" in done.stdout
    assert f"  {path}: not a result" in done.stdout
    assert "Traceback" not in done.stdout
    assert (measured.folder / "results/nap/report-partial.html").exists()
    other.write_bytes(b"")  # not named as a target
    assert measured.planned(path, "--config", "remeasure=invalid") == 1


def test_a_valid_result_is_not_invalid_because_it_is_forced(measured):
    for path in measured.results():
        given_energy(path)
    message = measured.refusal("--forcerun", "measure", "--config", "remeasure=invalid")
    assert "4 of the requested measurements have a result already" in message
