"""Decisions on further cycles must follow from the first ones."""

import pytest
from tests.llm_energy import make_results

from llm_energy.analysis.decision import decide, write_decision
from llm_energy.archive.verify import verify_results
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
        write_decision(tmp_path / path, decision)
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
    assert verify_results(decided).looked_at == "13 results"
    assert verify_results(decided).problems == []
    anchor.write_text("{")
    (problem,) = verify_results(decided).problems
    assert problem.startswith("anchors/")
