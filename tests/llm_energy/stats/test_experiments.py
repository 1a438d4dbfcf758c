"""One row per experiment group and metric; nothing is averaged across groups."""

import make_results
import pandas as pd
import pytest

from llm_energy.stats.experiments import COLUMNS, experiments_table
from llm_energy.tables import measurements_table

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
    assert row["mean"] == 0.5
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
    assert list(table.columns) == list(COLUMNS)


def test_only_energies_carry_the_gain_of_the_sensor():
    results = [make_results.make_result(cycle=c, metered=True) for c in (1, 2, 3)]
    energy, speed = row_of(results, "joules_per_output_token"), row_of(results)
    assert energy["total_high"] - energy["total_low"] > energy["t_high"] - energy["t_low"]
    assert energy["total_standard_uncertainty"] > 0.05 / 3**0.5 * energy["mean"]
    assert pd.isna(speed["total_low"])


def test_without_a_meter_there_is_no_row_of_energy():
    table = experiments_table(measurements_table(throughputs(A)))
    assert not table["metric"].str.contains("joule").any()
