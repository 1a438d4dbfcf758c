"""Tables for papers: uncertainty in SI notation, LaTeX that compiles, all digits in files."""

import math
import re

import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from llm_energy.report.page import render_page
from llm_energy.report.paper_tables import (
    PaperTable,
    latex,
    markdown,
    tables,
    with_uncertainty,
    write_tables,
)


@pytest.mark.parametrize(
    ("value", "uncertainty", "text"),
    [
        (0.5098, 0.0072, "0.5098(72)"),
        (0.51, 0.00996, "0.510(10)"),
        (123.4, 1.234, "123.4(1.2)"),
        (12.3, 12.0, "12(12)"),
        (123456.0, 4321.0, "123500(4300)"),
        (39.4, None, "39.40"),
        (39.4, 0.0, "39.40"),
    ],
)
def test_the_uncertainty_stands_in_units_of_the_last_digits(value, uncertainty, text):
    assert with_uncertainty(value, uncertainty) == text


@given(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6))
def test_what_is_read_back_is_the_value_within_a_hundredth_of_two_digits(value, uncertainty):
    assume(uncertainty < value)
    shown, inside = re.fullmatch(
        r"([\d.]+)\(([\d.]+)\)", with_uncertainty(value, uncertainty)
    ).groups()
    decimals = len(shown.partition(".")[2])
    read = float(inside) if "." in inside or not decimals else int(inside) / 10**decimals
    assert read == pytest.approx(uncertainty, rel=0.051)
    assert abs(float(shown) - value) <= 0.051 * 10 ** (math.floor(math.log10(read)) + 0.0001)


def test_results_have_every_metric_with_its_unit_and_n(summary_of):
    results = tables(summary_of(metered=True))[0]
    assert list(results.shown)[:6] == [
        "Experiment",
        "n",
        "Energy per output token (J/token)",
        "Energy per output token, repeatability interval (J/token)",
        "Energy per output token, total interval (J/token)",
        "Throughput (tokens/s)",
    ]
    assert len(results.shown) == 4
    intervals = results.shown.filter(like="interval")
    assert intervals.columns.size == 4  # of energy and power, which a sensor read
    assert all(" to " in cell for cell in intervals.to_numpy().ravel())
    numbers = results.shown.iloc[:, 2:].drop(columns=intervals.columns).to_numpy().ravel()
    assert all(re.fullmatch(r"[\d.]+\([\d.]+\)", cell) for cell in numbers)


def test_a_joule_has_its_repeatability_and_its_total_interval_in_all_digits(summary_of):
    data = tables(summary_of(metered=True))[0].data
    low, total = (data[f"joules_per_output_token_{name}_low (J/token)"] for name in ("t", "total"))
    assert (total < low).all()
    assert not any("throughput_total" in name for name in data.columns)


def test_without_a_meter_no_column_speaks_of_a_total(summary_of):
    results = tables(summary_of())[0]
    assert not any("total" in name for name in (*results.data.columns, *results.shown.columns))


def test_one_cycle_has_no_uncertainty(summary_of):
    results = tables(summary_of(cycles=1))[0]
    assert not any("(" in cell for cell in results.shown.iloc[:, 1:].to_numpy().ravel())


def test_latex_needs_booktabs_alone_and_escapes_what_it_must(summary_of):
    experiments = {"a_b%": {"dtype": "x"}, "c&d": {"dtype": "y"}}
    text = latex(tables(summary_of(experiments=experiments, reference=None))[0])
    assert text.count(r"\toprule") == text.count(r"\midrule") == text.count(r"\bottomrule") == 1
    assert r"a\_b\%" in text
    assert r"c\&d" in text
    assert text.count("{") == text.count("}")
    columns = len(re.search(r"tabular}{(\w+)}", text)[1])
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert all(len(re.findall(r"(?<!\\)&", row)) == columns - 1 for row in rows)


def test_markdown_has_one_cell_for_each_column(summary_of):
    for table in tables(summary_of()):
        lines = [line for line in markdown(table).splitlines() if line.startswith("|")]
        bars = {len(re.findall(r"(?<!\\)\|", line)) for line in lines}
        assert bars == {len(table.shown.columns) + 1}


def test_signs_and_special_characters_stay_what_they_are():
    names = pd.DataFrame({"Name_%": ["a|b", "±5 × −1 – {x}"], "p": ["0.10", "1e-05"]})
    table = PaperTable("names", "At 95 %, see `x`.", names, names, texts=1)
    text = latex(table)
    assert r"Name\_\%" in text
    assert r"$\pm$5 $\times$ $-$1 -- \{x\} & 1e-05 \\" in text
    assert r"\caption{At 95 \%, see x.}" in text
    assert r"\begin{tabular}{lr}" in text
    assert r"| a\|b" in markdown(table)
    assert "±5 × −1 – {x}" in markdown(table)
    assert " 0.10 |" in markdown(table)


@given(st.lists(st.text("ab_|\\~^&%$#{}<> ", min_size=1, max_size=6).filter(str.strip), min_size=2))
def test_no_sign_of_a_cell_means_something_to_latex_or_ends_the_cell(names):
    shown = pd.DataFrame({"Name": names, "p": "0.10"})
    table = PaperTable("names", "At 95 %.", shown, shown, texts=1)
    rows = [line for line in latex(table).splitlines() if line.endswith(r"0.10 \\")]
    assert len(rows) == len(names)
    for row in rows:
        cell = re.fullmatch(r"(.*[^\\]) +& +0\.10 \\\\", row)[1]
        commands = r"\\(textbackslash|textasciitilde|\^)\{\}|\\ensuremath\{[<>]\}|\\[&%$#_{}]"
        assert re.search(r"[\\~^&%$#_{}<>]", re.sub(commands, "", cell)) is None
    lines = markdown(table).splitlines()[2 : 2 + len(names)]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {3}


def test_all_four_files_of_each_table_hold_the_same_rows(summary_of, tmp_path):
    summary = summary_of()
    write_tables(tmp_path / "tables", summary)
    for table in tables(summary):
        kinds = {file.suffix for file in (tmp_path / "tables").glob(f"{table.name}.*")}
        assert kinds == {".csv", ".parquet", ".md", ".tex"}
        csv = pd.read_csv(tmp_path / "tables" / f"{table.name}.csv")
        parquet = pd.read_parquet(tmp_path / "tables" / f"{table.name}.parquet")
        assert len(csv) == len(parquet) == len(table.shown)
        assert list(csv) == list(parquet)


def test_a_page_of_tables_that_are_written_is_the_page_that_makes_them(summary_of, tmp_path):
    summary = summary_of()
    papers = write_tables(tmp_path / "tables", summary)
    for name, files in papers.items():
        for kind, content in files.items():
            assert (tmp_path / f"tables/{name}.{kind}").read_bytes() == content
    assert list(papers) == [table.name for table in tables(summary)]
    assert render_page(summary, (), partial=False, papers=papers) == render_page(
        summary, (), partial=False
    )
