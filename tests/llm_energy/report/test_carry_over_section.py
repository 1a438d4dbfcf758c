"""Carry-over on the page: a row for each factor and metric, a sentence for what was seen."""

import dataclasses

from tests.llm_energy import make_results

from llm_energy.analysis.aggregate import aggregate
from llm_energy.analysis.carry_over import CarryOver
from llm_energy.report.carry_over_section import carry_over_notices, carry_over_table

SEEN = CarryOver(
    metric="output_tokens_per_second",
    factor="predecessor",
    after="hot",
    change=-0.04,
    low=-0.05,
    high=-0.03,
    detectable=0.021,
    observations=31,
    seen=True,
    reason="",
)
UNKNOWN = CarryOver(
    metric="joules_per_output_token",
    factor="position",
    after=None,
    change=None,
    low=None,
    high=None,
    detectable=None,
    observations=0,
    seen=False,
    reason="Not testable: too few cycles, or their order is not random.",
)


def summary_with(tmp_path, *found):
    summary = aggregate(tmp_path, planned=[], design=make_results.design())
    findings = summary.findings.model_copy(update={"carry_over": list(found)})
    return dataclasses.replace(summary, findings=findings)


def test_an_effect_has_its_interval_and_the_size_that_would_be_seen(tmp_path):
    table = carry_over_table(summary_with(tmp_path, SEEN, UNKNOWN))
    seen, unknown = table.rows
    assert [c.text.replace("\N{NO-BREAK SPACE}", " ") for c in seen] == [
        "The experiment before it",
        "Throughput",
        "−4.0 %",
        "±2.1 %",
        "31",
        "seen",
    ]
    assert seen[0].detail == "clearest: after hot"
    assert seen[2].detail.replace("\N{NO-BREAK SPACE}", " ") == "−5.0 to −3.0 %"
    assert [c.text for c in unknown][2:] == ["–", "–", "–", UNKNOWN.reason]


def test_what_was_seen_is_a_notice_and_nothing_else_is(tmp_path):
    (notice,) = carry_over_notices(summary_with(tmp_path, SEEN, UNKNOWN))
    assert "changes with the experiment before it, most clearly hot" in notice


def test_without_measurements_there_is_no_table(tmp_path):
    assert carry_over_table(summary_with(tmp_path)) is None
