"""The verdict names the best experiment, its paired advantages and all that speaks against it."""

import pytest
from tests.llm_energy import make_results

from llm_energy.report.page import render_page
from llm_energy.report.verdict import unranked_notice, verdicts

SAME = {f"same_{name}": {"engine_options": {"name": name}} for name in ("a", "b")}


def facts_of(verdict):
    return {fact.title: fact for fact in verdict.facts}


def test_the_best_is_named_with_what_it_saves_against_reference_and_runner_up(summary_of):
    summary = summary_of(metered=True)
    (verdict,) = verdicts(summary)
    assert verdict.sentence == "batch4 out48 uses least energy per output token."
    facts = facts_of(verdict)
    reference = facts["Against the reference, batch1 out16"]
    (ratio,) = (
        one
        for one in summary.findings.comparisons
        if (one.experiment, one.metric)
        == ("batch-by-length_batch4_out48", "joules_per_output_token")
    )
    saved = float(reference.value.partition("\N{NO-BREAK SPACE}")[0])
    assert saved == pytest.approx(100 * (1 - ratio.ratio), abs=0.1)
    assert reference.value.endswith("% less energy")
    low, high = reference.detail.removeprefix("95 % interval ").split(" %")[0].split(" to ")
    assert float(low) == pytest.approx(100 * (1 - ratio.high), abs=0.1)
    assert float(high) == pytest.approx(100 * (1 - ratio.low), abs=0.1)
    assert reference.detail.endswith("3 pairs")
    assert "95 % interval" in facts["Against the runner-up, batch4 out16"].detail
    assert "total with the sensor" in facts["Energy per output token"].detail


def test_without_energy_the_fastest_leads(summary_of):
    (verdict,) = verdicts(summary_of())
    assert verdict.sentence == "batch4 out48 is fastest."
    assert facts_of(verdict)["Against the reference, batch1 out16"].value.endswith("throughput")


def test_a_lead_that_pairs_do_not_show_is_no_win(summary_of):
    (verdict,) = verdicts(summary_of(experiments=SAME, reference=None))
    assert " in the means; the difference from b is inconclusive." in verdict.sentence or (
        " in the means; the difference from a is inconclusive." in verdict.sentence
    )
    (runner_up,) = (fact for fact in verdict.facts if "runner-up" in fact.title)
    assert runner_up.detail.endswith("inconclusive")


def test_one_cycle_is_not_testable(summary_of):
    (verdict,) = verdicts(summary_of(cycles=1))
    assert verdict.sentence.endswith("is not testable.")


def test_a_best_that_is_the_reference_says_so(summary_of):
    (verdict,) = verdicts(summary_of(metered=True, reference="batch-by-length_batch4_out48"))
    assert "is the reference itself" in facts_of(verdict)["Against the reference"].detail


def test_a_runner_up_that_is_the_reference_is_compared_once(summary_of):
    (verdict,) = verdicts(summary_of(reference="batch-by-length_batch4_out16"))
    titles = [title for title in facts_of(verdict) if title.startswith("Against")]
    assert titles == ["Against the runner-up and reference, batch4 out16"]


def test_flags_count_as_share_of_all_measurements(summary_of):
    (verdict,) = verdicts(summary_of(capped=[(make_results.REFERENCE, 1)]))
    flagged = facts_of(verdict)["Flagged measurements"]
    assert flagged.value.replace("\N{NO-BREAK SPACE}", " ") == "1 of 12 (8 %)"
    assert flagged.detail == "warmup_capped"


def test_one_experiment_has_no_rival_and_no_verdict(summary_of):
    assert verdicts(summary_of(experiments={"only": {}})) == []


def test_the_page_begins_with_the_verdict_and_shows_its_metric_once(summary_of):
    page = render_page(summary_of(metered=True), (), partial=False)
    assert page.index("uses least energy per output token") < page.index("Highest throughput")
    assert "Least energy per output token" not in page


@pytest.mark.parametrize("metered", [True, False])
def test_one_configuration_has_nothing_to_compare_it_with(summary_of, metered):
    one = {make_results.REFERENCE: {}}
    summary = summary_of(experiments=one, metered=metered)
    assert verdicts(summary) == []
    text = render_page(summary, [], partial=False)
    assert "Only one configuration has been measured, so there is nothing to compare it" in text
    assert '<a href="#verdict">Verdict</a>' in text


def test_a_verdict_and_an_empty_campaign_need_no_such_sentence(summary_of):
    assert unranked_notice(summary_of()) is None
    every = [(name, cycle) for name in make_results.EXPERIMENTS for cycle in (1, 2, 3)]
    assert unranked_notice(summary_of(missing=every)) is None
