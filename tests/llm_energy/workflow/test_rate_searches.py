"""Rates that the judgements of a search request, and its lines in plan and status."""

import pytest
from tests.llm_energy.campaign.test_rate_search import searching
from tests.llm_energy.make_campaigns import load, make_checkout

from llm_energy.analysis.derived_records import read_record, write_record
from llm_energy.analysis.judgement import Judgement
from llm_energy.results.result import ResultError
from llm_energy.workflow.decisions import decided, first_cycles, may_follow, requested
from llm_energy.workflow.plan import make_plan
from llm_energy.workflow.plan_text import as_text
from llm_energy.workflow.rate_searches import judgement_path, lines
from llm_energy.workflow.run_entry import decision_of
from llm_energy.workflow.status import as_text as status_text
from llm_energy.workflow.status import standings


@pytest.fixture(scope="module")
def campaign(tmp_path_factory):
    """Two searches over 2, 3, 4.5, 6.75, 10.12 and 15.19 requests/s in two cycles."""
    return load(make_checkout(tmp_path_factory.mktemp("searches")), searching())


def judged(campaign, results, search, index, *, good):
    """Results of a rate that hold nothing, and its judgement."""
    experiment = search.experiments[index]
    for planned in campaign.schedule:
        if planned.experiment is experiment:
            path = results / planned.result_path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    judgement = Judgement(
        experiment=experiment.name,
        spec_hash=experiment.spec_hash,
        objectives=campaign.slo,
        attainments=[1.0, 1.0],
        growing=0,
        good=good,
    )
    path = results / judgement_path(campaign, experiment.spec_hash)
    write_record(path, judgement)
    return path


def names(measurements):
    return list(dict.fromkeys(planned.experiment.name for planned in measurements))


def asked(campaign, results):
    return set(names(requested(campaign, decided(campaign, results))))


def test_a_search_begins_in_the_middle_with_all_cycles(campaign, tmp_path):
    begin = {"x_batch1_rate4.5", "x_batch8_rate4.5"}
    assert set(names(first_cycles(campaign))) == begin == asked(campaign, tmp_path)
    assert len(requested(campaign, decided(campaign, tmp_path))) == 4


def test_each_judgement_requests_the_next_rate_of_its_search(campaign, tmp_path):
    one, other = campaign.searches
    judged(campaign, tmp_path, one, 2, good=True)
    judged(campaign, tmp_path, other, 2, good=False)
    assert asked(campaign, tmp_path) == {
        *("x_batch1_rate4.5", "x_batch1_rate10.12"),
        *("x_batch8_rate4.5", "x_batch8_rate2"),
    }
    judged(campaign, tmp_path, one, 4, good=False)
    judged(campaign, tmp_path, one, 3, good=True)
    assert "x_batch1_rate6.75" in asked(campaign, tmp_path)
    assert "x_batch1_rate3" not in asked(campaign, tmp_path)


def test_a_judgement_counts_only_while_its_results_are_there(campaign, tmp_path):
    search = campaign.searches[0]
    judged(campaign, tmp_path, search, 2, good=True)
    (first, *_) = [p for p in campaign.schedule if p.experiment is search.experiments[2]]
    (tmp_path / first.result_path).unlink()
    assert "x_batch1_rate10.12" not in asked(campaign, tmp_path)


def test_other_objectives_need_other_judgements(campaign, tmp_path):
    search = campaign.searches[0]
    path = judged(campaign, tmp_path, search, 2, good=True)
    stricter = load(
        make_checkout(tmp_path / "other"), searching(slo={"time_to_first_token_ms": 100})
    )
    assert stricter.names == campaign.names
    assert tmp_path / judgement_path(stricter, search.experiments[2].spec_hash) != path
    assert "x_batch1_rate10.12" not in asked(stricter, tmp_path)


def test_what_may_follow_lies_between_the_bounds(campaign, tmp_path):
    search = campaign.searches[0]
    judged(campaign, tmp_path, search, 2, good=True)
    beyond = ["x_batch1_rate6.75", "x_batch1_rate10.12", "x_batch1_rate15.19"]
    now = [p for p in campaign.schedule if p.experiment is search.experiments[4]]
    follows = may_follow(campaign, tmp_path, ["x_batch1_rate10.12"], needed=now)
    assert sorted(names(follows)) == sorted({*beyond} - {"x_batch1_rate10.12"})
    again = [p for p in campaign.schedule if p.experiment is search.experiments[2]]
    follows = may_follow(campaign, tmp_path, ["x_batch1_rate4.5"], needed=again)
    assert len(names(follows)) == 5
    assert may_follow(campaign, tmp_path, [], needed=again) == []


def test_a_result_that_is_set_aside_takes_its_judgement_with_it(campaign):
    planned = campaign.schedule[0]
    path = judgement_path(campaign, planned.experiment.spec_hash)
    assert decision_of(campaign, planned) == path


def test_a_file_that_is_no_judgement_is_named_with_the_remedy(tmp_path):
    (tmp_path / "judgement.json").write_text("{")
    with pytest.raises(ResultError, match=r"judgement\.json: no judgement; delete it"):
        read_record(Judgement, tmp_path / "judgement.json")


def test_the_plan_shows_the_rates_it_came_to_and_the_most_measurements(campaign, tmp_path):
    plan = make_plan(campaign, tmp_path)
    assert [row.experiment for row in plan.rows] == ["x_batch1_rate4.5", "x_batch8_rate4.5"]
    assert plan.at_most == 2 * 3 * 2  # searches, rates of each, cycles
    assert plan.at_most_s == pytest.approx(3 * plan.remaining_s)
    text = as_text(plan)
    assert "Highest good rate of x_batch1: not known yet; next 4.5, at most 3 rates more" in text
    assert "12 measurements" in text
    for index, good in ((2, False), (0, True), (1, True)):
        judged(campaign, tmp_path, campaign.searches[0], index, good=good)
    plan = make_plan(campaign, tmp_path)
    assert plan.at_most == 2 * 3 * 2
    assert [row.measured for row in plan.rows] == [2, 2, 2, 0]
    assert "Highest good rate of x_batch1: 3 requests/s\n" in as_text(plan)


@pytest.mark.parametrize(
    ("judgements", "line"),
    [
        ({2: True}, "at or above 4.5 requests/s; next 10.12, at most 2 rates more"),
        ({2: True, 4: False}, "at or above 4.5 and below 10.12 requests/s; next 6.75, at most 1"),
        ({2: False}, "below 4.5 requests/s; next 2, at most 2 rates more"),
        ({2: False, 0: False}, "none, 2 requests/s is too much already"),
        ({2: True, 4: True, 5: True}, "at least 15.19 requests/s"),
    ],
)
def test_the_status_says_how_far_a_search_is(campaign, tmp_path, judgements, line):
    for index, good in judgements.items():
        judged(campaign, tmp_path, campaign.searches[1], index, good=good)
    assert lines(campaign, tmp_path)[1].startswith(f"Highest good rate of x_batch8: {line}")
    text = status_text(campaign, tmp_path, standings(campaign, tmp_path))
    assert f"Highest good rate of x_batch8: {line}" in text
    assert "x_batch8_rate3 " not in text
