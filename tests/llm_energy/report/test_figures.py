"""Figures show what was measured, with intervals, and invent nothing."""

import csv
import json
import re

import pytest

from llm_energy.report import forest, traces
from llm_energy.report.figures import draw, write_figures
from llm_energy.report.settings_figure import by_setting
from llm_energy.report.style import PAGE_INCHES, THEME, rendered, styled
from llm_energy.report.svg import themed
from llm_energy.results.metrics import THROUGHPUT


def by_name(figures):
    return {figure.name: figure for figure in figures}


def drawn(drawing_of, summary):
    """One figure of a summary, for the page alone."""
    with styled(PAGE_INCHES):
        return rendered(drawing_of(summary))


@pytest.fixture(scope="module")
def unmetered(plain):
    """The figures of the synthetic campaign, by name."""
    return by_name(plain)


@pytest.fixture(scope="module")
def metered(whole):
    """The same with energy and side files."""
    return by_name(whole.figures)


class TestWhatIsDrawn:
    def test_without_a_meter_there_is_no_figure_of_energy(self, unmetered):
        assert list(unmetered) == [
            "trade-off",
            "throughput",
            "throughput-by-batch-size",
            "throughput-by-output-tokens",
            "latency",
            "warm-up",
            "order",
        ]

    def test_with_a_meter_energy_comes_first_and_has_its_own_figures(self, metered):
        assert list(metered)[:2] == ["trade-off", "energy-per-output-token"]
        own = {"energy-by-batch-size", "power", "uncertainty-budget", "latency-distributions"}
        assert own <= set(metered)

    def test_power_is_drawn_with_the_phases_it_ran_through(self, metered):
        assert "Shaded: the window" in metered["power"].caption
        rows = list(csv.DictReader(metered["power"].csv.splitlines()))
        assert {"time_s", "least_watts", "greatest_watts"} < set(rows[0])
        within = [float(r["least_watts"]) for r in rows if 0 < float(r["time_s"]) < 3]
        before = [float(r["least_watts"]) for r in rows if -5 < float(r["time_s"]) < -3.5]
        assert min(within) > max(before)

    def test_the_budget_is_what_the_total_uncertainty_is_made_of(self, metered, summary_of):
        rows = list(csv.DictReader(metered["uncertainty-budget"].csv.splitlines()))
        table = summary_of(metered=True).experiments
        table = table[table["metric"] == "joules_per_output_token"].set_index("experiment")
        for row in rows:
            total = table.loc[row["experiment"]]
            combined = total["total_standard_uncertainty"] / total["mean"]
            assert float(row["combined_relative"]) == pytest.approx(combined, rel=1e-6)

    def test_a_figure_takes_no_more_rows_than_one_reads(self, summary_of):
        many = {f"many_{n:02}": {"context_tokens": 64 + n} for n in range(forest.MOST_ROWS + 3)}
        with styled(PAGE_INCHES):
            drawing = forest.throughput(summary_of(experiments=many, cycles=1, reference=None))
        assert "Not drawn: 3 more experiments; the tables have all." in drawing.caption
        assert len(drawing.data) == forest.MOST_ROWS

    def test_one_cycle_is_drawn_without_intervals_and_without_an_order(self, summary_of):
        summary = summary_of(cycles=1)
        assert traces.order(summary, energy=False) is None
        svg = drawn(forest.throughput, summary).svg
        assert "n = 1" in svg
        assert "±" not in svg

    def test_experiments_without_a_value_keep_their_row_and_say_why(self, summary_of):
        summary = summary_of(
            missing=[("batch-by-length_batch1_out48", cycle) for cycle in (1, 2, 3)],
            out_of_memory=["batch-by-length_batch4_out48"],
        )
        svg = drawn(forest.throughput, summary).svg
        assert "not measured" in svg
        assert "out of memory" in svg

    def test_cycles_out_of_memory_are_reported_beside_those_that_went_well(self, summary_of):
        lost = [("batch-by-length_batch4_out48", 2)]
        svg = drawn(forest.throughput, summary_of(out_of_memory=lost)).svg
        assert "n = 2, 1 out of memory" in svg

    def test_a_line_ends_in_a_cross_where_memory_ran_out(self, summary_of):
        lost = summary_of(out_of_memory=["batch-by-length_batch4_out48"])
        lines = by_name(by_setting(lost, THROUGHPUT))
        assert "A cross on the axis: out of memory." in lines["throughput-by-batch-size"].caption

    def test_without_a_loss_there_is_no_cross(self, unmetered):
        assert "cross" not in unmetered["throughput-by-batch-size"].caption

    def test_one_point_and_a_cross_make_a_line(self, summary_of):
        sizes = {f"grow_batch{size}": {"batch_size": size} for size in (1, 4)}
        lost = summary_of(experiments=sizes, out_of_memory=["grow_batch4"])
        lines = by_setting(lost, THROUGHPUT)
        assert [line.name for line in lines] == ["throughput-by-batch-size"]

    def test_all_out_of_memory_draws_nothing(self, summary_of):
        assert draw(summary_of(experiments={"a": {}}, out_of_memory=["a"])) == []

    def test_a_setting_is_an_axis_only_where_all_else_is_equal(self, summary_of):
        confounded = {
            "pair_a": {"batch_size": 1, "output_tokens": 16},
            "pair_b": {"batch_size": 4, "output_tokens": 48},
        }
        assert by_setting(summary_of(experiments=confounded), THROUGHPUT) == []

    def test_one_output_token_has_no_inter_token_latency(self, summary_of):
        lengths = {f"one_out{length}": {"output_tokens": length} for length in (1, 16)}
        svg = drawn(forest.latency, summary_of(experiments=lengths)).svg
        assert "not defined for one token" in svg

    def test_nothing_measured_draws_nothing(self, summary_of):
        experiment = "batch-by-length_batch1_out16"
        empty = summary_of(experiments={experiment: {}}, cycles=1, missing=[(experiment, 1)])
        assert draw(empty) == []


class TestFiles:
    def test_every_file_of_a_figure_is_written_and_its_title_and_caption(self, whole, tmp_path):
        write_figures(tmp_path / "figures", whole.figures)
        index = json.loads((tmp_path / "figures/figures.json").read_text())
        names = ("name", "title", "caption")
        assert index == [{name: getattr(f, name) for name in names} for f in whole.figures]
        for figure in whole.figures:
            for kind, content in figure.files.items():
                assert (tmp_path / f"figures/{figure.name}.{kind}").read_bytes() == content
        starts = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml", "csv": b"experiment,"}
        for kind, start in starts.items():
            content = (tmp_path / "figures" / f"throughput.{kind}").read_bytes()
            assert content.startswith(start)

    def test_for_papers_a_figure_is_as_wide_as_a_column_and_its_fonts_are_embedded(self, whole):
        for figure in whole.figures:
            (box,) = re.findall(rb"/MediaBox \[ 0 0 ([\d.]+) ", figure.pdf)
            assert float(box) == pytest.approx(72 * 3.4, abs=0.1)
            assert b"/FontFile2" in figure.pdf
            assert b"/Type3" not in figure.pdf

    def test_the_data_beside_a_figure_are_what_it_shows(self, unmetered):
        rows = list(csv.DictReader(unmetered["throughput"].csv.splitlines()))
        assert next(row["label"] for row in rows) == "batch4 out48"
        assert {(row["unit"], row["n"]) for row in rows} == {("tokens/s", "3")}
        for row in rows:
            assert float(row["t_low"]) < float(row["mean"]) < float(row["t_high"])
            assert len(row["cycles"].split()) == 3

    def test_equal_summaries_give_equal_figures(self, unmetered, summary_of):
        assert draw(summary_of()) == list(unmetered.values())

    def test_text_stays_text(self, unmetered):
        assert ">batch4 out48</text>" in unmetered["throughput"].svg


class TestInThePage:
    @pytest.fixture
    def inline(self, unmetered):
        figure = unmetered["throughput"]
        return themed(figure.svg, figure.name, colours=THEME)

    def test_the_page_rules_all_colours(self, inline):
        assert not [colour for colour in THEME if colour in inline]
        assert "var(--figure-series-1)" in inline
        assert set(re.findall(r"#[0-9a-f]{6}\b", inline)) <= {"#000000"}

    def test_identifiers_are_the_figures_own_and_references_follow(self, inline):
        identifiers = re.findall(r'\bid="([^"]*)"', inline)
        assert all(identifier.startswith("throughput-") for identifier in identifiers)
        references = re.findall(r'(?:href="#|url\(#)([^")]*)', inline)
        assert references
        assert set(references) <= set(identifiers)

    def test_width_is_left_to_the_page(self, inline):
        head = inline[: inline.index(">")]
        assert "viewBox" in head
        assert "width=" not in head
        assert "height=" not in head
