"""Sentences on the page about the cost of a serving layer: for pairs of one engine alone."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from llm_energy.analysis.summary import Comparison, Summary
from llm_energy.report.page import render_page
from llm_energy.report.serving_layer import serving_layer_costs
from llm_energy.results.metrics import JOULES_PER_OUTPUT_TOKEN, THROUGHPUT

DIRECT, SERVED = "batch-by-length_batch1_out16", "batch-by-length_batch4_out16"


def compared(metric: str, ratio: float, **changes: Any) -> Comparison:
    fields: dict[str, Any] = {
        "experiment": SERVED,
        "base": DIRECT,
        "metric": metric,
        "factor": "backend",
        "level": "fast-server",
        "base_level": "fast",
        "pairs": 5,
        "ratio": ratio,
        "low": ratio - 0.1,
        "high": ratio + 0.1,
        "simultaneous_low": ratio - 0.1,
        "simultaneous_high": ratio + 0.1,
        "p_value": 0.01,
        "p_value_holm": 0.01,
        "family": 1,
        "verdict": "different",
        "marks": [],
        "sentence": "",
    }
    return Comparison(**fields | changes)


@pytest.fixture
def pair(summary_of: Callable[..., Summary]) -> Callable[..., Summary]:
    """Makes a campaign of two experiments that differ in `backend`, with these versions."""

    def make(served: str, direct: str, *comparisons: Comparison) -> Summary:
        summary = summary_of()
        versions = {SERVED: served, DIRECT: direct}
        table = summary.measurements.copy()
        table["engine_version"] = table["experiment"].map(versions).fillna("0")
        findings = summary.findings.model_copy(update={"axis_comparisons": list(comparisons)})
        return replace(summary, measurements=table, findings=findings)

    return make


SLOWER = compared(THROUGHPUT.column, 0.9)


def test_a_server_is_set_against_its_engine_called_directly(pair) -> None:
    summary = pair("b11 (engine 1.2)", "engine 1.2", SLOWER)
    (sentence,) = serving_layer_costs(summary)
    assert sentence == (
        "The same engine with its serving layer: batch4 out16 has, against batch1 out16, "
        "0.90× (0.80 to 1.00) the throughput, different; no energy of both sides was measured "
        "(5 pairs)."
    )
    assert "The same engine with its serving layer" in render_page(summary, [], partial=False)


def test_an_engine_called_directly_is_set_against_its_server(pair) -> None:
    (sentence,) = serving_layer_costs(pair("engine 1.2", "b11 (engine 1.2)", SLOWER))
    assert sentence.startswith("The same engine without its serving layer: ")


def test_joules_are_part_of_it_where_both_sides_have_them(pair) -> None:
    dearer = compared(JOULES_PER_OUTPUT_TOKEN.column, 1.2)
    (sentence,) = serving_layer_costs(pair("b11 (e 1)", "e 1", SLOWER, dearer))
    assert "1.20× (1.10 to 1.30) the energy per output token, different" in sentence
    assert "no energy" not in sentence


def test_a_ratio_without_an_interval_says_so(pair) -> None:
    unknown = compared(
        THROUGHPUT.column,
        0.9,
        simultaneous_low=None,
        simultaneous_high=None,
        verdict="not_testable",
    )
    (sentence,) = serving_layer_costs(pair("b11 (e 1)", "e 1", unknown))
    assert "(no interval) the throughput, not testable" in sentence


@pytest.mark.parametrize(
    ("served", "direct"),
    [("b11 (engine 1.2)", "engine 1.3"), ("engine 1.2", "engine 1.2"), ("1.2 (attached)", "1.2")],
)
def test_other_engines_are_no_pair(pair, served: str, direct: str) -> None:
    assert serving_layer_costs(pair(served, direct, SLOWER)) == []


def test_other_axes_are_no_pair(pair) -> None:
    along_batch = compared(THROUGHPUT.column, 0.9, factor="batch_size")
    assert serving_layer_costs(pair("b11 (e 1)", "e 1", along_batch)) == []
