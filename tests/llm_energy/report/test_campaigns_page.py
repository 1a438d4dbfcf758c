"""Two campaigns on one page: what they have in common, and what else differs."""

import io

import pandas as pd
import pytest
from tests.llm_energy import make_results

from llm_energy.analysis.aggregate import aggregate
from llm_energy.analysis.summary import write_summary
from llm_energy.report import campaigns_page
from llm_energy.report.campaigns_page import (
    compare_campaigns,
    environment_table,
    ratio_figures,
    ratios_table,
    read_campaigns,
    render_campaigns,
)
from llm_energy.report.ratio_figure import ratio_drawings
from llm_energy.report.style import PAGE_INCHES, styled
from llm_energy.results.metrics import TTFT
from llm_energy.system.numbers import number

NAMES = ["here", "there"]


def campaigns_in(folder, **there):
    """The same experiments here and, on another device in another session, there."""
    for name in NAMES:
        options = {"device_model": f"Device {name}"} | (there if name == "there" else {})
        planned = make_results.make_campaign(folder / name, metered=True, **options)
        summary = aggregate(folder / name, planned=planned, design=make_results.design(name=name))
        write_summary(folder / name / "summary", summary)
    return read_campaigns([folder / name / "summary" for name in NAMES])


@pytest.fixture(scope="module")
def alike(tmp_path_factory):
    """Two campaigns that differ in the device alone. Not to be changed."""
    return campaigns_in(tmp_path_factory.mktemp("campaigns"))


@pytest.fixture(scope="module")
def together(alike):
    return compare_campaigns(alike)


@pytest.fixture(scope="module")
def figures(together):
    """The figures of `alike`, drawn once for all."""
    return ratio_figures(together, "here")


def test_every_common_experiment_is_compared_by_every_metric(together):
    assert list(together.common)
    assert together.only_in == {"here": [], "there": []}
    assert {c.level for c in together.comparisons} == {"there"}
    energy = [c for c in together.comparisons if c.metric == "joules_per_output_token"]
    assert {c.experiment.partition(": ")[2] for c in energy} == set(make_results.EXPERIMENTS)


def test_between_devices_an_energy_ratio_holds_both_sensors(together):
    by_metric = {c.metric: c for c in together.comparisons}
    energy, speed = by_metric["joules_per_output_token"], by_metric["output_tokens_per_second"]
    assert "other_device" in energy.marks
    assert energy.pairs == 0
    assert energy.high - energy.low > 0.1  # ±5 % of gain and ±5 W on each side
    assert speed.high - speed.low < energy.high - energy.low


def test_experiments_of_one_campaign_only_are_named(tmp_path):
    some = dict(list(make_results.EXPERIMENTS.items())[:2])
    together = compare_campaigns(campaigns_in(tmp_path, experiments=some))
    assert set(together.common) == set(some)
    assert len(together.only_in["here"]) == 2


def test_another_version_under_the_same_name_is_stated(tmp_path, monkeypatch):
    monkeypatch.setattr(campaigns_page, "ratio_figures", lambda *_: [])  # they take their time
    longer = {name: s | {"context_tokens": 1024} for name, s in make_results.EXPERIMENTS.items()}
    loaded = campaigns_in(tmp_path, experiments=longer)
    assert len(compare_campaigns(loaded).other_spec) == 4
    assert "Not the same experiments in all respects" in render_campaigns(loaded)


def test_only_what_differs_in_the_environment_is_listed(alike):
    table = environment_table(alike)
    assert [(row[1].text, row[2].text, row[3].text) for row in table.rows] == [
        ("Device", "Device here", "Device there")
    ]


def test_the_page_says_it_all(alike, together, figures, monkeypatch):
    monkeypatch.setattr(campaigns_page, "ratio_figures", lambda *_: figures)
    page = render_campaigns(alike)
    assert "<title>here and there</title>" in page
    assert page.count("<figure ") == 3
    for kind in ("svg.gz", "pdf", "png", "csv.gz"):
        assert f'download="energy-ratios.{kind}"' in page
    assert 'id="ratios-table"' in page
    assert "simulated sensor" in page
    assert len(ratios_table(together).rows) == page.count("no pairs")


def test_a_figure_draws_the_ratios_of_the_table_and_holds_them_as_data(together, figures):
    energy, speed, first = figures
    assert energy.title == "Energy per output token, ratio to here"
    assert "less is better" in energy.caption
    assert "more is better" in speed.caption
    assert "less is better" in first.caption
    table = pd.read_csv(io.StringIO(speed.csv))
    own = [c for c in together.comparisons if c.metric == "output_tokens_per_second"]
    assert set(table["experiment"]) == {
        f"batch{size} out{length}" for size in (1, 4) for length in (16, 48)
    }
    assert table["ratio"].tolist() == pytest.approx([c.ratio for c in own])
    assert table["simultaneous_high"].tolist() == pytest.approx([c.simultaneous_high for c in own])
    assert f"{number(own[0].ratio, (own[0].simultaneous_high - own[0].simultaneous_low) / 2)}×" in (
        speed.svg
    )


def test_what_was_measured_once_has_a_ratio_and_no_interval(tmp_path):
    compared = compare_campaigns(campaigns_in(tmp_path, cycles=1)).comparisons
    names = {comparison.experiment: comparison.experiment for comparison in compared}
    table = ratio_drawings(compared, "here", names)[0].data
    assert table["ratio"].notna().all()
    assert table["low"].isna().all()


def test_ratios_near_one_are_written_out_below_their_axis(together):
    """Not as their distance from a 1 that stands beside the axis."""
    near = {"simultaneous_low": 1.00001, "ratio": 1.0002, "simultaneous_high": 1.0004}
    one = together.comparisons[0].model_copy(update=near | {"metric": TTFT.column})
    with styled(PAGE_INCHES):
        (drawing,) = ratio_drawings([one], "here", {one.experiment: "a"})
        drawing.canvas.draw_without_rendering()
    (axes,) = drawing.canvas.axes
    assert axes.xaxis.get_offset_text().get_text() == ""
    assert "1.0002" in {tick.get_text() for tick in axes.get_xticklabels()}


def test_the_same_specification_is_the_same_experiment_whatever_its_name(tmp_path):
    """In the other campaign everything has another name, and two names have changed places."""
    loaded = campaigns_in(tmp_path, cycles=1)
    first, second, third, fourth = make_results.EXPERIMENTS
    renamed = {first: second, second: first, third: "third", fourth: "fourth"}
    there = loaded["there"]
    there.measurements["experiment"] = there.measurements["experiment"].replace(renamed)
    together = compare_campaigns(loaded)
    assert set(together.common) == set(make_results.EXPERIMENTS)
    assert together.other_spec == []
    assert together.only_in == {"here": [], "there": []}


def test_a_name_that_means_another_experiment_is_distinguished_from_it(tmp_path):
    loaded = campaigns_in(tmp_path, cycles=1)
    first, second, *_ = make_results.EXPERIMENTS
    there = loaded["there"].measurements
    there.loc[there["experiment"] == second, "spec_hash"] = "0123456789ab"
    there["experiment"] = there["experiment"].replace({first: second, second: first})
    together = compare_campaigns(loaded)
    assert set(together.common) == {*make_results.EXPERIMENTS} - {second}
    assert together.only_in == {"here": [second], "there": [f"{first} (0123456789ab)"]}
