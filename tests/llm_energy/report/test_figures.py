"""Figures show what was measured, with intervals, and invent nothing."""

import re

import pytest

from llm_energy.report.figures import draw, read_figures, write_figures
from llm_energy.report.style import THEME, themed


def by_name(figures):
    return {figure.name: figure for figure in figures}


class TestWhatIsDrawn:
    def test_without_a_meter_there_is_no_figure_of_energy(self, summary_of):
        assert list(by_name(draw(summary_of()))) == [
            "throughput",
            "latency",
            "throughput-by-batch-size",
            "throughput-by-output-tokens",
            "order",
            "warm-up",
        ]

    def test_with_a_meter_energy_comes_first(self, summary_of):
        assert next(iter(by_name(draw(summary_of(metered=True))))) == "energy-per-output-token"

    def test_one_cycle_is_drawn_without_intervals_and_without_an_order(self, summary_of):
        figures = by_name(draw(summary_of(cycles=1)))
        assert "order" not in figures
        assert "n = 1" in figures["throughput"].svg
        assert "±" not in figures["throughput"].svg

    def test_experiments_without_a_value_keep_their_row_and_say_why(self, summary_of):
        summary = summary_of(
            missing=[("batch-by-length_batch1_out48", cycle) for cycle in (1, 2, 3)],
            out_of_memory=["batch-by-length_batch4_out48"],
        )
        svg = by_name(draw(summary))["throughput"].svg
        assert "not measured" in svg
        assert "out of memory" in svg

    def test_cycles_out_of_memory_are_told_beside_those_that_went_well(self, summary_of):
        lost = [("batch-by-length_batch4_out48", 2)]
        svg = by_name(draw(summary_of(out_of_memory=lost)))["throughput"].svg
        assert "n = 2, 1 out of memory" in svg

    def test_a_line_ends_in_a_cross_where_memory_ran_out(self, summary_of):
        figure = by_name(draw(summary_of(out_of_memory=["batch-by-length_batch4_out48"])))
        assert "A cross on the axis: out of memory." in figure["throughput-by-batch-size"].caption
        assert "cross" not in by_name(draw(summary_of()))["throughput-by-batch-size"].caption

    def test_one_point_and_a_cross_make_a_line(self, summary_of):
        sizes = {f"grow_batch{size}": {"batch_size": size} for size in (1, 4)}
        figures = by_name(draw(summary_of(experiments=sizes, out_of_memory=["grow_batch4"])))
        assert "throughput-by-batch-size" in figures

    def test_all_out_of_memory_draws_nothing(self, summary_of):
        assert draw(summary_of(experiments={"a": {}}, out_of_memory=["a"])) == []

    def test_a_setting_is_an_axis_only_where_all_else_is_equal(self, summary_of):
        confounded = {
            "pair_a": {"batch_size": 1, "output_tokens": 16},
            "pair_b": {"batch_size": 4, "output_tokens": 48},
        }
        names = by_name(draw(summary_of(experiments=confounded)))
        assert not any(name.startswith("throughput-by") for name in names)

    def test_one_output_token_has_no_inter_token_latency(self, summary_of):
        lengths = {f"one_out{length}": {"output_tokens": length} for length in (1, 16)}
        assert (
            "not defined for one token"
            in by_name(draw(summary_of(experiments=lengths)))["latency"].svg
        )

    def test_nothing_measured_draws_nothing(self, summary_of):
        experiment = "batch-by-length_batch1_out16"
        empty = summary_of(experiments={experiment: {}}, cycles=1, missing=[(experiment, 1)])
        assert draw(empty) == []


class TestFiles:
    def test_figures_are_read_as_they_were_written(self, summary_of, tmp_path):
        figures = draw(summary_of())
        write_figures(tmp_path / "figures", figures)
        assert read_figures(tmp_path / "figures") == figures
        assert (tmp_path / "figures" / "throughput.png").read_bytes().startswith(b"\x89PNG")

    def test_equal_summaries_give_equal_figures(self, summary_of):
        assert draw(summary_of()) == draw(summary_of())

    def test_text_stays_text(self, summary_of):
        assert ">batch4 out48</text>" in by_name(draw(summary_of()))["throughput"].svg


class TestInThePage:
    @pytest.fixture
    def inline(self, summary_of):
        figure = by_name(draw(summary_of()))["throughput"]
        return themed(figure.svg, figure.name)

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
