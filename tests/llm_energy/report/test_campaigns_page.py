"""Two campaigns on one page: what they have in common, and what else differs."""

import io

import pandas as pd
import pytest
from tests.llm_energy import make_results

from llm_energy.analysis.aggregate import aggregate
from llm_energy.analysis.summary_files import write_summary
from llm_energy.report.campaigns_page import (
    compare_campaigns,
    environment_table,
    ratio_figures,
    ratios_table,
    read_campaigns,
    render_campaigns,
)
from llm_energy.system.numbers import number

NAMES = ["here", "there"]


@pytest.fixture
def campaigns(tmp_path):
    """The same experiments here and, on another device in another session, there."""

    def make(**there):
        for name in NAMES:
            options = {"device_model": f"Device {name}"} | (there if name == "there" else {})
            folder = tmp_path / name
            planned = make_results.make_campaign(folder, metered=True, **options)
            design = make_results.design(name=name)
            write_summary(folder / "summary", aggregate(folder, planned=planned, design=design))
        return read_campaigns([tmp_path / name / "summary" for name in NAMES])

    return make


def test_every_common_experiment_is_compared_by_every_metric(campaigns):
    together = compare_campaigns(campaigns())
    assert list(together.common)
    assert together.only_in == {"here": [], "there": []}
    assert {c.level for c in together.comparisons} == {"there"}
    energy = [c for c in together.comparisons if c.metric == "joules_per_output_token"]
    assert {c.experiment.partition(": ")[2] for c in energy} == set(make_results.EXPERIMENTS)


def test_between_devices_an_energy_ratio_holds_both_sensors(campaigns):
    together = compare_campaigns(campaigns())
    by_metric = {c.metric: c for c in together.comparisons}
    energy, speed = by_metric["joules_per_output_token"], by_metric["output_tokens_per_second"]
    assert "other_device" in energy.marks
    assert energy.pairs == 0
    assert energy.high - energy.low > 0.1  # ±5 % of gain and ±5 W on each side
    assert speed.high - speed.low < energy.high - energy.low


def test_experiments_of_one_campaign_only_are_named(campaigns):
    some = dict(list(make_results.EXPERIMENTS.items())[:2])
    together = compare_campaigns(campaigns(experiments=some))
    assert set(together.common) == set(some)
    assert len(together.only_in["here"]) == 2


def test_another_version_under_the_same_name_is_said(campaigns):
    longer = {name: s | {"context_tokens": 1024} for name, s in make_results.EXPERIMENTS.items()}
    loaded = campaigns(experiments=longer)
    assert len(compare_campaigns(loaded).other_spec) == 4
    assert "Not the same experiments in all respects" in render_campaigns(loaded)


def test_only_what_differs_in_the_environment_is_listed(campaigns):
    table = environment_table(campaigns())
    assert [(row[1].text, row[2].text, row[3].text) for row in table.rows] == [
        ("Device", "Device here", "Device there")
    ]


def test_the_page_says_it_all(campaigns):
    loaded = campaigns()
    page = render_campaigns(loaded)
    assert "<title>here and there</title>" in page
    assert page.count("<figure ") == 3
    for kind in ("svg.gz", "pdf", "png", "csv.gz"):
        assert f'download="energy-ratios.{kind}"' in page
    assert 'id="ratios-table"' in page
    assert "simulated sensor" in page
    assert len(ratios_table(compare_campaigns(loaded)).rows) == page.count("no pairs")


def test_a_figure_draws_the_ratios_of_the_table_and_holds_them_as_data(campaigns):
    together = compare_campaigns(campaigns())
    energy, speed, first = ratio_figures(together, "here")
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


def test_what_was_measured_once_has_a_ratio_and_no_interval(campaigns):
    figures = ratio_figures(compare_campaigns(campaigns(cycles=1)), "here")
    table = pd.read_csv(io.StringIO(figures[0].csv))
    assert table["ratio"].notna().all()
    assert table["low"].isna().all()
