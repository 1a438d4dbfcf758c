"""The table of serving under load, and what the rest of the page makes of saturated cycles."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.llm_energy.make_open import make_open_result
from tests.llm_energy.make_results import design, path_of, put_result
from tests.worker.virtual_engine import Clock, virtual_clock

from llm_energy.analysis.aggregate import aggregate
from llm_energy.analysis.summary import Summary
from llm_energy.campaign.arrival_settings import Objectives
from llm_energy.report.estimates import estimates, ranked, without_value
from llm_energy.report.headline import console, key_figures, warmup_notice
from llm_energy.report.methods import methods
from llm_energy.report.page_tables import Cell, Table, results_table
from llm_energy.report.paper_tables import tables
from llm_energy.report.serving_section import serving_table
from llm_energy.report.verdict import verdicts
from llm_energy.results.metrics import ATTAINMENT, GOODPUT, THROUGHPUT, TTFT

__all__ = ["virtual_clock"]

SLO = Objectives(time_to_first_token_ms=200.0, end_to_end_ms=1000.0)


@pytest.fixture
def served(tmp_path, virtual_clock: Clock) -> Summary:
    """Rates of 10 and 60 requests per second at a capacity of 23, in two cycles each."""
    results = [
        make_open_result(tmp_path, virtual_clock, rate=rate, cycle=cycle)
        for cycle in (1, 2)
        for rate in (10.0, 60.0)
    ]
    planned = [path_of(result) for result in results]
    for path, result in zip(planned, results, strict=True):
        put_result(tmp_path / path, result)
    return aggregate(tmp_path, planned=planned, design=design(reference=None, slo=SLO))


def column(table: Table, title: str) -> list[str]:
    place = [one.title for one in table.columns].index(title)
    return [row[place].text for row in table.rows]


def test_a_row_for_each_rate_in_their_order(served: Summary) -> None:
    table = serving_table(served)
    assert table is not None
    assert [row[1].detail for row in table.rows] == ["10 requested", "60 requested"]
    assert column(table, "Queue") == ["stable", "saturated"]
    assert column(table, "n") == ["2", "2"]
    assert float(column(table, "Achieved")[0]) == pytest.approx(10.0, rel=0.2)
    attainment = column(table, "Attainment, share of good requests")
    assert float(attainment[0]) > 90.0
    assert float(attainment[1]) < 10.0
    assert "time to first token at most 200 ms, end to end at most 1000 ms; 90" in table.note


def test_verdicts_that_differ_between_cycles_are_counted(served: Summary) -> None:
    table = served.measurements.copy()
    table.loc[(table["request_rate"] == 10.0) & (table["cycle"] == 1), "saturation"] = "undecided"
    shown = serving_table(replace(served, measurements=table))
    assert shown is not None
    assert column(shown, "Queue") == ["1 stable, 1 undecided", "saturated"]


def test_the_batch_size_of_a_server_is_unknown_with_its_reason(
    tmp_path, virtual_clock: Clock
) -> None:
    results = [
        make_open_result(tmp_path, virtual_clock, rate=rate, cycle=cycle, is_server=rate > 10.0)
        for cycle in (1, 2)
        for rate in (10.0, 20.0)
    ]
    for result in results:
        put_result(tmp_path / path_of(result), result)
    planned = [path_of(result) for result in results]
    summary = aggregate(tmp_path, planned=planned, design=design(reference=None, slo=SLO))
    of_server = summary.measurements[summary.measurements["request_rate"] == 20.0]
    assert of_server["batch_size_mean"].isna().all()
    assert of_server["batch_size_maximum"].isna().all()
    assert set(of_server["batch_size_reason"]) == {"server_reports_no_batches"}
    table = serving_table(summary)
    assert table is not None
    seen, unknown = column(table, "Batch size seen, mean")
    assert float(seen) >= 1.0
    assert unknown == Cell().text
    assert all(float(mean) > 0 for mean in column(table, "In flight, mean"))
    assert "Servers do not report how many requests they compute together" in table.note


def test_a_batch_size_that_was_seen_needs_no_reason(served: Summary) -> None:
    table = serving_table(served)
    assert table is not None
    assert "Servers do not report" not in table.note
    assert served.measurements["batch_size_reason"].isna().all()


def test_other_load_modes_have_no_such_table(summary_of) -> None:
    assert serving_table(summary_of()) is None


def test_saturated_cycles_are_shown_and_never_ranked(served: Summary) -> None:
    assert {e.saturated for e in estimates(served, GOODPUT)} == {False, True}
    assert all(not e.saturated for e in ranked(served, GOODPUT))
    assert not any("saturated" in figure.label for figure in key_figures(served))
    assert {figure.metric for figure in key_figures(served)} >= {GOODPUT, TTFT}
    assert verdicts(served) == []  # one rate is left, which has no rival


def test_random_arrivals_are_named_beside_short_warm_ups(served: Summary) -> None:
    assert "or under random arrivals cannot show" in (warmup_notice(served) or "")


@pytest.fixture
def rivals(tmp_path, virtual_clock: Clock) -> Callable[..., Summary]:
    """Two configurations at one rate, which both keep up with."""
    results = [
        make_open_result(
            tmp_path,
            virtual_clock,
            rate=10.0,
            cycle=cycle,
            experiment=f"serve_batch{slots}",
            settings={"batch_size": slots},
            service={"slots": slots, "prefill_s": prefill_s},
        )
        for cycle in (1, 2, 3)
        for slots, prefill_s in ((8, 0.05), (16, 0.08))
    ]
    planned = [path_of(result) for result in results]
    for path, result in zip(planned, results, strict=True):
        put_result(tmp_path / path, result)
    return lambda **own: aggregate(tmp_path, planned=planned, design=design(**own))


def test_under_arrivals_at_a_rate_latency_leads(rivals) -> None:
    (verdict,) = verdicts(rivals(reference=None))
    assert verdict.metric == TTFT
    assert verdict.sentence.startswith("batch8 has the shortest time to first token")
    assert verdict.facts[0].value.endswith("less time to first token")


def test_throughput_is_that_of_the_arrivals_and_ranks_nothing(rivals) -> None:
    """Head, tables, figures, fronts and ratios: both are equal but for the chance of arrivals."""
    summary = rivals(reference="serve_batch8", slo=SLO)
    assert summary.measurements[THROUGHPUT.column].notna().all()
    assert estimates(summary, THROUGHPUT) == ()
    titles = [figure.title for figure in key_figures(summary)]
    assert titles[0] == "Highest goodput"
    assert "Highest throughput" not in titles
    assert "Highest throughput" not in console(summary)
    results = results_table(summary)
    assert [c.title for c in results.columns][2:4] == [GOODPUT.title, ATTAINMENT.title]
    assert len(results.rows) == 2  # none without a value
    paper = next(table for table in tables(summary) if table.name == "results")
    assert "Goodput (requests/s)" in paper.shown
    assert not any(column.startswith("Throughput") for column in paper.shown)
    assert {c.metric for c in summary.findings.comparisons} >= {TTFT.column}
    assert THROUGHPUT.column not in {c.metric for c in summary.findings.comparisons}
    fronts = summary.findings.fronts
    assert THROUGHPUT.column not in {name for one in fronts for name in (one.metric, one.against)}


def test_an_open_load_without_a_value_is_still_named(rivals) -> None:
    summary = rivals(reference=None)
    table = summary.measurements.copy()
    lost = table["experiment"] == "serve_batch8"
    table.loc[lost, "status"] = "out_of_memory"
    experiments = summary.experiments[summary.experiments["experiment"] != "serve_batch8"]
    changed = replace(summary, measurements=table, experiments=experiments)
    assert without_value(changed, THROUGHPUT) == [("batch8", "out of memory")]


def test_methods_name_the_interval_of_attainment(served: Summary, summary_of) -> None:
    assert "attainment is binomial" in dict(methods(served))["Statistics"]
    assert "attainment" not in dict(methods(summary_of()))["Statistics"]
