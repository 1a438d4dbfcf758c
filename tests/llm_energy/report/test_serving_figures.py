"""Figures of serving under load: values and saturation of each configuration against its rate."""

import io
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path

import pandas as pd
import pytest
from tests.llm_energy.make_open import make_open_result
from tests.llm_energy.make_results import design, path_of, put_result
from tests.worker.virtual_engine import replace_clock

from llm_energy.analysis.aggregate import aggregate
from llm_energy.analysis.summary import Summary
from llm_energy.campaign.arrival_settings import Objectives
from llm_energy.report.page import render_page
from llm_energy.report.serving_figures import by_request_rate
from llm_energy.report.settings_figure import by_setting
from llm_energy.report.style import COLUMN_INCHES, PAGE_INCHES, Drawing, rendered, styled
from llm_energy.results.metrics import GOODPUT, THROUGHPUT
from llm_energy.results.open_load import SATURATED, UNDECIDED
from llm_energy.results.result import Result

SLO = Objectives(time_to_first_token_ms=200.0, end_to_end_ms=1000.0)
JOULES = 600.0
Serve = Callable[..., Summary]
Measured = tuple[int, int, float]
"""Cycle, slots and rate."""


def with_energy(result: Result) -> Result:
    """The result as if its window had taken `JOULES`."""
    load = result.open_load
    assert load is not None
    assert load.attained is not None
    energy = result.energy.model_copy(update={"energy_joules": JOULES})
    result = result.model_copy(update={"energy": energy})
    if load.saturation == SATURATED:
        return result
    each = {"joules_per_good_request": JOULES / load.attained.good}
    judged = load.attained.model_copy(update=each)
    return result.model_copy(update={"open_load": load.model_copy(update={"attained": judged})})


SLOTS, RATES = (16, 8), (5.0, 15.0, 30.0)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[Measured, str]]:
    """A folder with two cycles of each number of slots and rate, and the path of each result; 8
    slots serve 23 requests per second."""
    folder, paths = tmp_path_factory.mktemp("served"), dict[Measured, str]()
    with pytest.MonkeyPatch.context() as patch:
        clock = replace_clock(patch)
        for cycle, size, rate in product((1, 2), SLOTS, RATES):
            result = with_energy(
                make_open_result(
                    folder,
                    clock,
                    rate=rate,
                    cycle=cycle,
                    duration_s=10.0,
                    experiment=f"serve_batch{size}_rate{rate:g}",
                    settings={"batch_size": size},
                    service={"slots": size},
                )
            )
            paths[cycle, size, rate] = path_of(result)
            put_result(folder / path_of(result), result)
    return folder, paths


@pytest.fixture
def serve(measured: tuple[Path, dict[Measured, str]]) -> Serve:
    """Returns the summary of those of the results with these numbers of slots and rates."""
    folder, paths = measured

    def serve(slots: tuple[int, ...] = SLOTS, rates: tuple[float, ...] = RATES) -> Summary:
        planned = [paths[key] for key in product((1, 2), slots, rates)]
        return aggregate(folder, planned=planned, design=design(reference=None, slo=SLO))

    return serve


def drawn(summary: Summary, width: float = PAGE_INCHES) -> dict[str, Drawing]:
    with styled(width):
        return {drawing.name: drawing for drawing in by_request_rate(summary)}


def test_a_line_along_another_setting_has_its_rate_once(serve: Serve) -> None:
    with styled(PAGE_INCHES):
        assert by_setting(serve(), THROUGHPUT) == []
        (drawing,) = by_setting(serve(), GOODPUT)
    assert drawing.name == "goodput-by-batch-size"
    lines = drawing.data["line"].unique().tolist()
    assert {"request rate 5", "request rate 15"} <= {line.split(",")[0] for line in lines}
    assert not any("requests/s" in line for line in lines)


def test_each_metric_has_a_line_for_each_batch_size_along_its_rates(serve: Serve) -> None:
    summary = serve()
    figures = drawn(summary)
    assert list(figures) == [
        "latency-by-request-rate",
        "attainment-by-request-rate",
        "goodput-by-request-rate",
        "energy-per-good-request-by-request-rate",
    ]
    data = figures["latency-by-request-rate"].data
    assert data["line"].unique().tolist() == ["batch size 8", "batch size 16"]
    assert data["metric"].unique().tolist() == [
        "time_to_first_token_p50_s",
        "inter_token_latency_p50_s",
        "time_to_first_token_p99_s",
        "inter_token_latency_p99_s",
    ]
    one = data[(data["line"] == "batch size 8") & (data["metric"] == "time_to_first_token_p99_s")]
    assert one["request_rate"].tolist() == [5.0, 15.0, 30.0]
    table = summary.measurements
    for _, point in one.iterrows():
        own = table[table["experiment"] == point["experiment"]]["time_to_first_token_p99_s"]
        assert point["mean"] == pytest.approx(1e3 * own.mean())
        assert point["t_low"] <= point["mean"] <= point["t_high"]


def test_saturated_points_are_marked_and_cost_nothing_per_good_request(serve: Serve) -> None:
    figures = drawn(serve())
    data = figures["goodput-by-request-rate"].data
    saturated = data[data["saturated"]]
    assert saturated[["line", "request_rate"]].to_numpy().tolist() == [["batch size 8", 30.0]]
    assert "hollow markers" in figures["goodput-by-request-rate"].caption
    (panel,) = figures["goodput-by-request-rate"].canvas.axes
    (shade,) = panel.patches
    assert shade.get_x() == 30.0  # type: ignore[attr-defined]
    energy = figures["energy-per-good-request-by-request-rate"]
    assert not energy.data["saturated"].any()
    eight = energy.data[energy.data["line"] == "batch size 8"]
    assert eight["request_rate"].tolist() == [5.0, 15.0]
    assert eight["mean"].iloc[0] > eight["mean"].iloc[1] > 0
    assert "a saturated cycle has no energy per good request" in energy.caption


def with_undecided(summary: Summary, rate: float) -> Summary:
    """The summary as if cycle 1 of every configuration at a rate were undecided."""
    table = summary.measurements.copy()
    table.loc[(table["request_rate"] == rate) & (table["cycle"] == 1), "saturation"] = UNDECIDED
    return replace(summary, measurements=table)


def test_undecided_cycles_are_counted_in_the_captions(serve: Serve) -> None:
    summary = serve()
    assert "undecided" not in drawn(summary)["goodput-by-request-rate"].caption
    figures = drawn(with_undecided(summary, 5.0))
    for figure in figures.values():
        assert "Saturation is undecided in 2 cycles, which count as not" in figure.caption


def test_an_interval_of_attainment_ends_at_100_percent_and_has_a_width(serve: Serve) -> None:
    figures = drawn(serve())
    data = figures["attainment-by-request-rate"].data
    assert data["t_high"].max() == 100.0
    assert (data["t_low"] < data["t_high"]).all()
    assert "with 95 % intervals" in figures["attainment-by-request-rate"].caption
    assert "with 95 % t intervals" in figures["latency-by-request-rate"].caption


def test_without_saturation_nothing_is_shaded(serve: Serve) -> None:
    figures = drawn(serve(slots=(16,), rates=(5.0, 15.0)))
    for drawing in figures.values():
        assert "saturated" not in drawing.caption
        assert all(not panel.patches for panel in drawing.canvas.axes)
    assert "batch" not in figures["latency-by-request-rate"].data["line"].iloc[0]


def test_captions_name_the_objectives(serve: Serve) -> None:
    figures = drawn(serve(slots=(16,), rates=(5.0, 15.0)))
    for name in ("attainment", "goodput", "energy-per-good-request"):
        caption = figures[f"{name}-by-request-rate"].caption
        assert "time to first token at most 200 ms, end to end at most 1000 ms" in caption
    assert "scheduled arrival" in figures["latency-by-request-rate"].caption


def test_a_single_rate_and_other_modes_have_no_such_figure(serve: Serve, summary_of) -> None:
    assert drawn(serve(rates=(5.0,))) == {}
    assert drawn(summary_of()) == {}


def test_a_trace_that_is_taken_whole_stands_at_the_rate_it_offered(tmp_path: Path) -> None:
    results = []
    with pytest.MonkeyPatch.context() as patch:
        clock = replace_clock(patch)
        for rate in (5.0, 10.0, 15.0):
            result = make_open_result(tmp_path, clock, rate=rate, duration_s=10.0)
            own = {"trace": "chat"} | ({"request_rate": None} if rate == 10.0 else {})
            settings = result.settings.model_copy(
                update={"resolved": result.settings.resolved | own}
            )
            results.append(result.model_copy(update={"settings": settings}))
    for result in results:
        put_result(tmp_path / path_of(result), result)
    planned = [path_of(result) for result in results]
    summary = aggregate(tmp_path, planned=planned, design=design(reference=None, slo=SLO))
    figure = drawn(summary)["goodput-by-request-rate"]
    offered = results[1].open_load.offered_per_second if results[1].open_load else 0.0
    assert figure.data["request_rate"].tolist() == [5.0, pytest.approx(offered, rel=5e-3), 15.0]
    assert "A trace that was taken whole stands at the mean rate that it offered." in figure.caption
    page = render_page(summary, [], partial=False)
    assert "all of trace chat" in page
    assert "Nothing has been measured yet" not in page  # though no two rates have rivals
    assert summary.measurements["trace"].dropna().tolist() == ["chat"]


def test_figures_are_rendered_at_both_widths(serve: Serve) -> None:
    summary = serve()
    columns, pages = drawn(summary, COLUMN_INCHES), drawn(summary)
    with styled(PAGE_INCHES):
        figure = rendered(pages["latency-by-request-rate"], columns["latency-by-request-rate"])
    assert figure.pdf.startswith(b"%PDF")
    assert "batch size 16" in figure.svg
    rows = pd.read_csv(io.StringIO(figure.csv))
    assert len(rows) == 2 * 3 * 4
