"""One row per experiment group and metric; nothing is averaged across groups."""

import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.llm_energy import make_results

from llm_energy.analysis.experiments_table import (
    ExperimentRow,
    experiments_table,
    statistics_of,
)
from llm_energy.analysis.measurements_table import measurements_table

A = [0.50, 0.52, 0.49, 0.51, 0.53]


def throughputs(values, **options):
    return [
        make_results.make_result(cycle=cycle, output_tokens_per_second=value, **options)
        for cycle, value in enumerate(values, start=1)
    ]


def row_of(results, metric="output_tokens_per_second"):
    table = experiments_table(measurements_table(results))
    (row,) = table[table["metric"] == metric].to_dict("records")
    return row


def test_the_known_answer_arrives_in_the_table():
    row = row_of(throughputs(A))
    assert (row["n"], row["unit"]) == (5, "tokens/s")
    assert row["mean"] == pytest.approx(0.51)
    assert (row["t_high"] - row["t_low"]) / 2 == pytest.approx(0.019632, abs=5e-7)
    assert (row["log_t_low"], row["log_t_high"]) == pytest.approx((0.49054, 0.52982), abs=5e-6)
    assert (row["cycles_needed"], row["cycles_needed_stein"]) == (12, 19)


def test_one_cycle_has_a_value_and_no_interval():
    row = row_of(throughputs([0.5]))
    assert (row["mean"], row["interval_rule"]) == (0.5, "one_cycle")
    assert pd.isna(row["t_low"])
    assert pd.isna(row["standard_deviation"])


def test_other_devices_and_power_limits_are_other_groups():
    results = [
        *throughputs(A, device_model="GPU A", power_limit_watts=300.0),
        *throughputs(A, device_model="GPU A", power_limit_watts=400.0),
        *throughputs(A, device_model="GPU B", power_limit_watts=400.0),
    ]
    table = experiments_table(measurements_table(results))
    assert (table["metric"] == "output_tokens_per_second").sum() == 3
    assert set(table["n"]) == {5}


def test_cycles_out_of_memory_are_no_values():
    results = throughputs(A[:2])
    results.append(make_results.make_result(cycle=3, out_of_memory=True))
    assert row_of(results)["n"] == 2


def test_an_experiment_that_never_fitted_has_no_row():
    table = experiments_table(measurements_table([make_results.make_result(out_of_memory=True)]))
    assert len(table) == 0
    assert list(table.columns) == list(ExperimentRow.model_fields)


class TestTheSensor:
    metered = tuple(make_results.make_result(cycle=c, metered=True) for c in (1, 2, 3))

    def systematic(self, metric):
        """Relative standard uncertainty that no number of cycles reduces."""
        row = row_of(self.metered, metric)
        repeatability = row["standard_deviation"] / row["n"] ** 0.5
        variance = row["total_standard_uncertainty"] ** 2 - repeatability**2
        return variance**0.5 / abs(row["mean"])

    def test_gain_and_offset_are_part_of_a_gross_energy(self):
        power = row_of(self.metered, "mean_power_watts")["mean"]
        expected = math.hypot(0.05, 5.0 / power) / math.sqrt(3)
        for metric in ("joules_per_output_token", "output_tokens_per_joule", "mean_power_watts"):
            assert self.systematic(metric) == pytest.approx(expected, rel=1e-3)

    def test_above_a_baseline_the_offset_cancels(self):
        net = self.systematic("energy_above_loaded_idle_joules")
        assert net == pytest.approx(0.05 / math.sqrt(3))

    def test_speed_knows_no_sensor(self):
        assert pd.isna(row_of(self.metered)["total_low"])

    def test_a_total_interval_holds_the_repeatability_interval(self):
        for metric in ("joules_per_output_token", "mean_power_watts"):
            row = row_of(self.metered, metric)
            assert row["total_low"] < row["t_low"] < row["t_high"] < row["total_high"]
            half_width = (row["total_high"] - row["total_low"]) / 2
            limit = 0.05 + 5.0 / row_of(self.metered, "mean_power_watts")["mean"]
            repeated = (row["t_high"] - row["t_low"]) / 2
            assert half_width == pytest.approx(math.hypot(repeated, limit * row["mean"]))


class TestTwoStages:
    """Three cycles that scatter decided on ten, and the seven others happen to be equal."""

    values = (1.0, 1.05, 0.95, *[1.0] * 7)

    def row(self, values=values, cycles=None, first_cycles=3):
        results = [
            make_results.make_result(cycle=cycle, output_tokens_per_second=value)
            for cycle, value in zip(cycles or range(1, 11), values, strict=False)
        ]
        table = experiments_table(measurements_table(results), first_cycles=first_cycles)
        return table[table["metric"] == "output_tokens_per_second"].iloc[0]

    def test_intervals_rest_on_the_first_cycles_and_the_bootstrap_is_empty(self):
        row = self.row()
        assert row["interval_rule"] == "two_stage"
        assert pd.isna(self.row(self.values * 3, cycles=range(1, 31))["bca_low"])
        assert row["repeatability_standard_uncertainty"] == pytest.approx(0.05 / 10**0.5)
        assert (row["t_high"] - row["t_low"]) / 2 == pytest.approx(4.302653 * 0.05 / 10**0.5)
        assert row["log_t_high"] / row["log_t_low"] == pytest.approx(1.1459, abs=1e-4)

    def test_where_no_second_stage_followed_the_interval_is_students(self):
        row = self.row(self.values[:3])
        assert row["interval_rule"] == "t"
        assert row["t_high"] == row_of(throughputs(self.values[:3]))["t_high"]

    def test_first_cycles_without_two_values_give_no_interval_and_the_reason(self):
        row = self.row(self.values[:4], cycles=[1, 4, 5, 6])
        assert row["interval_rule"] == "first_cycles_missing"
        assert row[["t_low", "log_t_low", "total_low", "relative_half_width"]].isna().all()

    def test_a_given_number_of_cycles_is_no_second_stage(self):
        many = self.values * 3
        assert self.row(many, cycles=range(1, 31))["interval_rule"] == "two_stage"
        row = self.row(many, cycles=range(1, 31), first_cycles=None)
        assert row["interval_rule"] == "t"
        assert pd.notna(row["bca_low"])


def test_without_a_meter_there_is_no_row_of_energy():
    table = experiments_table(measurements_table(throughputs(A)))
    assert not table["metric"].str.contains("joule").any()


class TestStatistics:
    def test_five_cycles_give_every_statistic(self):
        found = statistics_of(A)
        assert [found[name] for name in ("n", "median", "minimum", "maximum")] == [
            5,
            0.51,
            0.49,
            0.53,
        ]
        assert found["standard_deviation"] == pytest.approx(0.0158114, abs=5e-8)
        assert found["coefficient_of_variation"] == pytest.approx(0.0310027, abs=5e-8)
        assert found["relative_half_width"] == pytest.approx(0.0385, abs=5e-5)

    def test_one_cycle_gives_a_value_and_no_interval(self):
        found = statistics_of([0.5])
        assert found["median"] == found["geometric_mean"] == 0.5
        for name in ("coefficient_of_variation", "log_t_low", "relative_half_width"):
            assert found[name] is None

    def test_below_five_cycles_no_number_of_cycles_is_predicted(self):
        found = statistics_of(A[:4])
        assert found["cycles_needed"] is found["cycles_needed_stein"] is None

    def test_a_mean_of_zero_has_no_relative_spread(self):
        found = statistics_of([-1.0, 1.0])
        assert found["coefficient_of_variation"] is found["relative_half_width"] is None

    @given(st.lists(st.floats(1e-3, 1e3), min_size=2, max_size=12), st.floats(1e-3, 1e3))
    def test_a_change_of_unit_changes_the_unit_and_nothing_else(self, values, factor):
        plain, scaled = statistics_of(values), statistics_of([value * factor for value in values])
        assert scaled["mean"] == pytest.approx(plain["mean"] * factor)
        assert scaled["t_low"] == pytest.approx(plain["t_low"] * factor, abs=1e-6 * factor)
        half_width = plain["relative_half_width"]
        assert scaled["relative_half_width"] == pytest.approx(half_width, abs=1e-9)
