"""Comparisons on the page: every one with its interval, its verdict and its words."""

import pytest

from llm_energy.analysis.summary import Refusal
from llm_energy.report.comparison_section import (
    VERDICTS,
    comparison_tables,
    decode_table,
    outputs_table,
    refusals,
    repeated_by_request,
)
from llm_energy.report.page import render_page


def titles(table):
    return [column.title for column in table.columns]


def test_all_are_shown_with_the_reference_and_along_settings(summary_of):
    summary = summary_of(metered=True)
    (reference, caption, first), *others = comparison_tables(summary)
    assert reference == "reference-table"
    assert "for all comparisons of their family at once" in caption
    repeated = repeated_by_request(summary.findings.comparisons)
    assert len(first.rows) == len(summary.findings.comparisons) - len(repeated)
    assert [len(table.rows) for _, _, table in others] == [
        len(summary.findings.axis_comparisons)
    ] * bool(summary.findings.axis_comparisons)


def test_energy_per_request_is_folded_only_where_it_repeats_the_ratio_per_token(summary_of):
    summary = summary_of(metered=True)
    ((_, _, table), *_) = comparison_tables(summary)
    shown = {
        row["Experiment"].text
        for cells in table.rows
        for row in [dict(zip(titles(table), cells, strict=True))]
        if row["Metric"].text == "Energy per request"
    }
    assert shown == {"batch1 out48", "batch4 out48"}  # batch4 out16 is as long as the reference
    assert table.note.startswith("1 row of energy per request not shown")


def test_a_row_holds_ratio_interval_verdict_and_words(summary_of):
    ((_, _, table), *_) = comparison_tables(summary_of())
    row = dict(zip(titles(table), table.rows[0], strict=True))
    assert " to " in row["Ratio"].detail
    assert row["Verdict"].text in VERDICTS.values()
    assert "3 pairs" in row["In words"].text


def test_under_three_pairs_nothing_is_tested(summary_of):
    ((_, _, table), *_) = comparison_tables(summary_of(cycles=2))
    for cells in table.rows:
        row = dict(zip(titles(table), cells, strict=True))
        assert row["Ratio"].detail == "no interval"
        assert row["p, Holm"].text == "–"
        assert row["Verdict"].text == "not testable"


def test_what_must_not_be_compared_is_reported_once_for_each_reason(summary_of):
    summary = summary_of()
    names = list(summary.measurements["experiment"].unique())
    refused = [
        Refusal(experiment=name, base=names[0], metric="m", reason="different load modes")
        for name in names[1:]
    ]
    summary.findings.refused_comparisons.extend(refused)
    ((reason, count, example),) = refusals(summary)
    assert (reason, count) == ("different load modes", 3)
    assert " with " in example


def test_decode_energy_is_reported_only_where_it_is_a_slope(summary_of):
    assert decode_table(summary_of(metered=True)) is None  # two output lengths
    lengths = {f"len_out{n}": {"output_tokens": n} for n in (8, 16, 32)}
    table = decode_table(summary_of(metered=True, experiments=lengths, reference=None))
    if table is not None:
        assert "8, 16, 32" in {row[1].text for row in table.rows}


def test_outputs_are_held_against_the_reference(summary_of):
    table = outputs_table(summary_of())
    assert {row[1].text.replace("\N{NO-BREAK SPACE}", " ") for row in table.rows} == {"100 %"}


@pytest.mark.parametrize("cycles", [1, 3])
def test_the_page_holds_them(summary_of, cycles):
    assert '<table class="sortable" id="reference-table"' in render_page(
        summary_of(cycles=cycles), (), partial=False
    )
