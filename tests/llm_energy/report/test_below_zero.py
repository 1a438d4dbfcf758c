"""An interval that reaches below zero is kept, reported and drawn."""

import re

import pytest
from tests.llm_energy import make_results
from tests.llm_energy.make_results import put_result

from llm_energy.analysis.aggregate import aggregate
from llm_energy.report import forest
from llm_energy.report.estimates import estimates
from llm_energy.report.headline import key_figures
from llm_energy.report.page_tables import results_table
from llm_energy.report.settings_figure import by_setting
from llm_energy.report.style import PAGE_INCHES, rendered, styled
from llm_energy.results.metrics import THROUGHPUT, TTFT

FACTORS = (1, 30, 2)
"""Latencies of three cycles that scatter so much that the interval of their mean holds 0."""


@pytest.fixture
def noisy(tmp_path):
    planned = []
    for cycle, factor in enumerate(FACTORS, start=1):
        result = make_results.make_result(cycle=cycle, position=cycle)
        planned.append(make_results.path_of(result))
        put_result(tmp_path / planned[-1], make_results.scattered(result, factor))
    return aggregate(tmp_path, planned=planned, design=make_results.design())


def test_the_interval_of_the_mean_is_kept(noisy):
    (estimate,) = estimates(noisy, TTFT)
    assert estimate.low < 0 < min(estimate.values)
    assert estimate.reaches_below_zero
    assert estimate.interval_texts[0].startswith("below 0 to ")
    assert not estimates(noisy, THROUGHPUT)[0].reaches_below_zero


def test_table_and_key_figures_give_no_negative_latency(noisy):
    table = results_table(noisy)
    shown = [cell.detail for row in table.rows for cell in row]
    shown += [figure.certainty for figure in key_figures(noisy)]
    assert sum("below 0" in text for text in shown) == 5  # TTFT, ITL and end to end; two of them
    assert not [text for text in shown if "\N{MINUS SIGN}" in text]
    assert table.note.startswith("Below 0: the 95 % t interval of the mean reaches below 0")


def test_the_note_stands_only_where_it_is_needed(summary_of):
    assert results_table(summary_of()).note == ""


def test_the_figure_has_an_open_end_and_says_so(noisy, plain):
    with styled(PAGE_INCHES):
        latency = rendered(forest.latency(noisy))
        throughput = forest.throughput(noisy)
    assert "Hollow triangle at 0" in latency.caption
    assert "Hollow" not in throughput.caption
    assert "fill: none; stroke: #1b62a5" in re.sub(r"\s+", " ", latency.svg)
    assert not [figure for figure in plain if "Hollow" in figure.caption]


def test_so_has_a_line_along_a_setting(tmp_path):
    planned = []
    for position in range(6):
        size, cycle = (1, 4)[position % 2], 1 + position // 2
        result = make_results.make_result(
            f"grow_batch{size}", cycle=cycle, position=position, settings={"batch_size": size}
        )
        faster = FACTORS[cycle - 1] * (result.output_tokens_per_second or 0)
        planned.append(make_results.path_of(result))
        changed = result.model_copy(update={"output_tokens_per_second": faster})
        put_result(tmp_path / planned[-1], changed)
    design = make_results.design(reference=None)
    (drawing,) = by_setting(aggregate(tmp_path, planned=planned, design=design), THROUGHPUT)
    assert "Hollow triangle at 0" in drawing.caption
