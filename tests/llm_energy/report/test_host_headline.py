"""The second headline: energy with the host, and what it changes in the ranking."""

import json

import pytest
from tests.llm_energy import make_results

from llm_energy.analysis.aggregate import aggregate
from llm_energy.report.estimates import estimates
from llm_energy.report.headline import console, key_figures
from llm_energy.report.host_headline import ranking_notices
from llm_energy.report.page import render_page
from llm_energy.report.page_tables import results_table
from llm_energy.report.paper_tables import tables
from llm_energy.report.verdict import verdicts
from llm_energy.results.energy import HostEnergy
from llm_energy.results.metrics import HOST_JOULES_PER_OUTPUT_TOKEN

FAST, SLOW = "batch-by-length_batch4_out48", "batch-by-length_batch1_out16"


@pytest.fixture
def hosted(tmp_path):
    """Make a campaign whose host draws so many watts beside the GPU: experiment -> W, scope."""

    def make(watts, *, scopes=("chassis",), **options):
        planned = make_results.make_campaign(tmp_path, metered=True, **options)
        for number, path in enumerate(planned):
            content = json.loads((tmp_path / path).read_text())
            seconds, joules = content["window"]["duration_s"], content["energy"]["energy_joules"]
            joules += watts[content["experiment"]] * seconds
            content["energy"]["host"] = HostEnergy(
                scope=scopes[number % len(scopes)],
                devices=["bmc"],
                energy_joules=joules,
                reason=None,
                joules_per_output_token=joules / content["tokens"]["output"],
                mean_power_watts=joules / seconds,
                gain_limit_relative=0.05,
                offset_limit_watts=0.0,
            ).model_dump()
            (tmp_path / path).write_text(json.dumps(content))
        return aggregate(tmp_path, planned=planned, design=make_results.design())

    return make


def steady(watts):
    return dict.fromkeys(make_results.EXPERIMENTS, watts)


def test_both_energies_stand_side_by_side_each_with_its_scope(hosted):
    summary = hosted(steady(200.0))
    first, second, *_ = key_figures(summary)
    assert first.title == "Least energy per output token"
    assert second.title == "Least energy per output token with the host (chassis)"
    assert "total with the sensor" in second.certainty
    (verdict,) = verdicts(summary)
    fact = next(fact for fact in verdict.facts if fact.title == "With the host (chassis)")
    assert fact.detail.startswith("first of 4, 95 % intervals: repeatability")
    assert ranking_notices(summary) == []


def test_a_ranking_that_the_host_changes_is_said_first(hosted):
    # the fastest takes a host that draws much more beside it
    summary = hosted(steady(20.0) | {FAST: 4000.0})
    (notice,) = ranking_notices(summary)
    assert notice.startswith(
        "The ranking depends on what is counted: batch4 out48 uses least energy per output token "
        "by gpu_board alone, batch4 out16 with the host (chassis). 3 pairs of experiments change "
        "places, 3 of them by more than their intervals."
    )
    assert console(summary).splitlines()[1].strip() == notice
    page = render_page(summary, [], partial=False)
    assert 0 < page.index('id="ranking"') < page.index('class="verdict"')
    (verdict,) = verdicts(summary)
    fact = next(fact for fact in verdict.facts if fact.title == "With the host (chassis)")
    assert fact.detail.startswith("place 4 of 4")


def test_where_only_others_change_places_the_sentence_says_so(hosted):
    summary = hosted(steady(0.0) | {"batch-by-length_batch4_out16": 2000.0})
    (notice,) = ranking_notices(summary)
    assert "by gpu_board alone and with the host (chassis), but the order of the others" in notice


def test_hosts_of_two_scopes_are_not_ranked(hosted):
    summary = hosted(steady(20.0) | {FAST: 4000.0}, scopes=("chassis", "board"))
    assert ranking_notices(summary) == []
    refused = {r.reason for r in summary.findings.refused_comparisons}
    assert "scopes of energy with the host must not be mixed: board, chassis" in refused
    page = render_page(summary, [], partial=False)
    assert 'id="ranking"' not in page


def test_its_limits_are_those_of_the_sensors_of_the_host(hosted):
    summary = hosted(steady(200.0))
    row = summary.experiments[summary.experiments["metric"] == "host_joules_per_output_token"]
    one = estimates(summary, HOST_JOULES_PER_OUTPUT_TOKEN)[0]
    half = (one.total_high - one.total_low) / 2
    spread = (one.high - one.low) / 2
    assert half == pytest.approx((spread**2 + (0.05 * one.mean) ** 2) ** 0.5)
    assert len(row) == 4


def test_tables_and_comparisons_have_it_too(hosted):
    summary = hosted(steady(200.0))
    titles = [column.title for column in results_table(summary).columns]
    assert titles[2:4] == ["Energy per output token", "Energy per output token with the host"]
    assert "host_joules_per_output_token" in {c.metric for c in summary.findings.comparisons}
    (sentence,) = {
        c.sentence.partition("×")[2].partition(",")[0].partition(") ")[2]
        for c in summary.findings.comparisons
        if c.metric == "host_joules_per_output_token"
    }
    assert sentence == "the energy per token with the host"
    (results,) = (table for table in tables(summary) if table.name == "results")
    assert any(name.startswith("host_joules_per_output_token") for name in results.data.columns)


def test_without_a_metered_host_nothing_is_said_of_it(summary_of):
    summary = summary_of(metered=True)
    assert not [f for f in key_figures(summary) if "host" in f.title]
    assert ranking_notices(summary) == []
    (verdict,) = verdicts(summary)
    assert not [fact for fact in verdict.facts if "host" in fact.title]
