"""The tables of the page."""

import re

from tests.llm_energy import make_results

from llm_energy.report.page_tables import (
    VERDICTS,
    measurements_table,
    out_of_memory_table,
    results_table,
)
from llm_energy.report.setting_tables import common_settings, settings_table
from worker import steady


def titles(table):
    return [column.title for column in table.columns]


def texts(row):
    return [cell.text for cell in row]


def test_results_are_ranked_with_n_and_interval(summary_of):
    table = results_table(summary_of())
    assert table.rows[0][0].text == "batch4 out48"
    assert titles(table)[:3] == ["Experiment", "n", "Throughput"]
    assert {row[1].text for row in table.rows} == {"3"}
    assert all(" to " in row[2].detail for row in table.rows)


def test_a_joule_stands_with_both_intervals_by_name_and_a_speed_with_one(summary_of):
    table = results_table(summary_of(metered=True))
    columns = dict(zip(titles(table), zip(*table.rows, strict=True), strict=True))
    for shown in columns["Energy per output token"]:
        assert re.fullmatch(r"repeatability .+ to .+\ntotal with the sensor .+ to .+", shown.detail)
    assert not any("total" in shown.detail for shown in columns["Throughput"])
    assert table.note.startswith("Repeatability: from the spread over cycles alone")
    assert "Repeatability" not in results_table(summary_of()).note


def test_the_reference_has_no_ratio_to_itself(summary_of):
    table = results_table(summary_of())
    ratios = {row[0].text: row[-1] for row in table.rows}
    assert ratios["batch1 out16"].text == "–"
    assert ratios["batch4 out48"].detail.endswith("3 pairs")


def test_without_a_meter_no_column_speaks_of_energy(summary_of):
    assert not [t for t in titles(results_table(summary_of())) if "nergy" in t]
    assert "Energy" not in titles(measurements_table(summary_of()))
    assert "Energy per output token" in titles(results_table(summary_of(metered=True)))


def test_cost_stands_in_the_table_with_what_it_assumes(summary_of):
    price = {"electricity": {"price_per_kwh": 0.3, "currency": "EUR"}}
    table = results_table(summary_of(metered=True, assumptions=price))
    assert ("Cost of a million output tokens", "EUR") in [(c.title, c.unit) for c in table.columns]
    assert "0.3 EUR per kWh" in table.note
    assert "a lower bound" in table.note
    assert not [t for t in titles(results_table(summary_of(metered=True))) if "Cost" in t]


def test_experiments_without_a_value_stay_in_the_table(summary_of):
    table = results_table(summary_of(out_of_memory=["batch-by-length_batch4_out48"]))
    assert (table.rows[-1][0].text, table.rows[-1][0].detail) == ("batch4 out48", "out of memory")
    assert set(texts(table.rows[-1][1:])) == {"–"}


def test_results_say_how_many_cycles_ran_out_of_memory(summary_of):
    table = results_table(summary_of(out_of_memory=[("batch-by-length_batch4_out48", 2)]))
    (row,) = [row for row in table.rows if row[0].text == "batch4 out48"]
    assert (row[0].detail, row[1].text) == ("1 cycle more out of memory", "2")


def test_what_ran_out_of_memory_stands_with_what_was_requested(summary_of):
    lost = ["batch-by-length_batch4_out48", ("batch-by-length_batch4_out16", 2)]
    rows = out_of_memory_table(summary_of(out_of_memory=lost)).rows
    assert sorted(texts(row) for row in rows) == [
        [
            f"batch4 out{length}",
            cycles,
            "loading",
            f"batch size 4, output tokens {length}",
            "failed to allocate 9 GiB",
        ]
        for length, cycles in ((16, "1 of 3"), (48, "3 of 3"))
    ]
    assert out_of_memory_table(summary_of()) is None


def test_settings_are_split_into_what_differs_and_what_is_shared(summary_of):
    summary = summary_of()
    assert titles(settings_table(summary)) == ["Experiment", "batch size", "output tokens"]
    shared = dict(common_settings(summary))
    assert shared["backend"] == "llamacpp"
    assert "batch_size" not in shared


def test_an_option_of_one_engine_names_its_backend(summary_of):
    experiments = {
        "pair_a": {"backend": "llamacpp", "engine_options": {"threads": 1}},
        "pair_b": {"backend": "pytorch", "engine_options": {"compile": False}},
    }
    shared = dict(common_settings(summary_of(experiments=experiments, reference=None)))
    assert shared["engine_options.threads"] == "1 (llamacpp)"
    assert shared["engine_options.compile"] == "False (pytorch)"


def test_what_only_some_experiments_set_is_marked(summary_of):
    experiments = {"plain": {}, "limited": {"gpu": {"power_limit_watts": 300}}}
    shared = dict(common_settings(summary_of(experiments=experiments, reference=None)))
    assert shared["gpu.power_limit_watts"].endswith(" (some of llamacpp)")


def test_one_experiment_differs_in_nothing(summary_of):
    assert settings_table(summary_of(experiments={"only": {}})) is None


def test_the_bound_of_the_bias_is_shown_where_the_protocol_bounds_it(summary_of):
    def columns(**changes):
        return [column.title for column in measurements_table(summary_of(**changes)).columns]

    assert "Bound of its bias" in columns(protocol=3)
    assert "Bound of its bias" not in columns()


def test_every_verdict_on_a_warm_up_has_words(summary_of):
    verdicts = {steady.STEADY, steady.NOT_STEADY, steady.TOO_FEW_WAVES}
    verdicts |= {steady.NO_DRIFT_SEEN, steady.DRIFT_SEEN, steady.UNDECIDED}
    assert set(VERDICTS) == verdicts
    table = measurements_table(summary_of(capped=[(make_results.REFERENCE, 1)]))
    column = titles(table).index("Steadiness")
    assert {row[column].text for row in table.rows} == {"steady", "not shown to be steady"}


def test_every_measurement_has_a_row_out_of_memory_ones_too(summary_of):
    table = measurements_table(summary_of(out_of_memory=[make_results.REFERENCE]))
    assert [row[0].text for row in table.rows] == [str(rank) for rank in range(1, 13)]
    flags = [row[-1].text for row in table.rows]
    assert flags.count("out of memory") == 3


def test_mean_power_stands_with_energy_and_only_there(summary_of):
    for metered in (True, False):
        summary = summary_of(metered=metered)
        for table in (results_table(summary), measurements_table(summary)):
            assert ("Mean power" in [column.title for column in table.columns]) == metered
