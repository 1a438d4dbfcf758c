"""The table of measurements: one row each, units in names, empty where nothing was measured."""

import math

import pandas as pd
import pytest
from tests.llm_energy import make_results

from llm_energy.analysis.measurements_table import COLUMNS, measurements_table, varying_settings
from llm_energy.analysis.part_columns import HOST, OPEN_LOAD
from llm_energy.results.energy import DeviceEnergy, DeviceState


def test_every_fixed_column_finds_its_value_in_a_full_result():
    result = make_results.make_result(metered=True, power_limit_watts=400.0)
    row = measurements_table([result]).iloc[0]
    unknown = {"energy_reason", "power_drift_relative", "driver", "image_digest", "message"}
    unknown |= {"gpu_cpu_dram_joules", "power_scatter_limit", "power_modes", "token_latency_reason"}
    unknown |= {"container_engine", *OPEN_LOAD, *HOST}
    assert {name for name in COLUMNS if pd.isna(row[name])} == unknown
    assert row["output_tokens_per_second"] == result.output_tokens_per_second
    assert row["time_to_first_token_p95_s"] == result.latency.time_to_first_token_s.p95


def test_what_was_not_measured_is_empty_and_never_zero():
    row = measurements_table([make_results.make_result(out_of_memory=True)]).iloc[0]
    for column in ("output_tokens_per_second", "window_duration_s", "energy_joules", "requests"):
        assert pd.isna(row[column])
    assert row["status"] == "out_of_memory"
    assert row["energy_reason"] == "no_meter"


def test_variables_are_one_text_and_empty_where_they_are_not_known():
    old = make_results.make_result()
    environment = old.environment.model_copy(update={"variables": {"OMP_X": "2", "KMP_Y": "a=b"}})
    new = make_results.make_result(cycle=2, position=1, environment=environment)
    texts = measurements_table([old, new])["variables"]
    assert pd.isna(texts[0])
    assert texts[1] == "KMP_Y=a=b;OMP_X=2"


def test_rows_are_in_planned_order():
    results = [make_results.make_result(cycle=c, position=p) for c, p in ((3, 9), (1, 0), (2, 4))]
    assert measurements_table(results)["position"].tolist() == [0, 4, 9]


def test_settings_become_columns_even_where_backends_know_different_ones():
    threads = make_results.make_result("a", settings={"engine_options": {"threads": 2}})
    compiled = make_results.make_result("b", settings={"engine_options": {"compile": True}})
    table = measurements_table([threads, compiled]).set_index("experiment")
    assert table.loc["a", "setting.engine_options.threads"] == 2
    assert pd.isna(table.loc["b", "setting.engine_options.threads"])
    assert table.loc["b", "setting.engine_options.compile"]


def test_a_setting_of_mixed_types_is_kept_as_text():
    results = [
        make_results.make_result(str(value), settings={"engine_options": {"threads": value}})
        for value in (2, "all")
    ]
    column = measurements_table(results)["setting.engine_options.threads"]
    assert sorted(column) == ["2", "all"]


@pytest.mark.parametrize("other", [1, 0.5, None])
def test_a_whole_number_that_no_column_holds_is_kept_as_text(other):
    results = [
        make_results.make_result(str(value), settings={"engine_options": {"seed": value}})
        for value in (2**64 - 1, other)
    ]
    column = measurements_table(results)["setting.engine_options.seed"]
    assert set(column.dropna()) == {"18446744073709551615", *([str(other)] if other else [])}


def test_flags_and_devices_are_joined():
    result = make_results.make_result(capped=True)
    assert measurements_table([result])["flags"].tolist() == ["warmup_capped"]


def test_the_limits_of_the_sensor_are_recovered_from_its_standard_uncertainties():
    table = measurements_table([make_results.make_result(metered=True)])
    assert math.isclose(table["sensor_gain_limit_relative"][0], 0.05)
    assert math.isclose(table["sensor_offset_limit_watts"][0], 5.0)
    table = measurements_table([make_results.make_result()])
    assert table["sensor_gain_limit_relative"].isna().all()
    assert table["sensor_offset_limit_watts"].isna().all()


def test_varying_settings_are_those_with_more_than_one_value():
    results = [
        make_results.make_result(str(batch), settings={"batch_size": batch}) for batch in (4, 1, 2)
    ]
    assert varying_settings(measurements_table(results)) == {"batch_size": [1, 2, 4]}


def test_options_of_one_name_on_two_engines_are_not_one_that_varies():
    results = [
        make_results.make_result(
            backend, settings={"backend": backend, "engine_options": {"batch_tokens": tokens}}
        )
        for backend, tokens in (("llamacpp", 2048), ("vllm", 0))
    ]
    assert list(varying_settings(measurements_table(results))) == ["backend"]


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_no_results_still_make_a_table(tmp_path, form):
    table = measurements_table([])
    assert len(table) == 0
    getattr(table, f"to_{form}")(tmp_path / form)


def test_format_and_precision_of_the_weights_stand_in_the_table():
    result = make_results.make_result()
    spec = result.spec | {"model": {"format": "gguf"}}
    settings = result.settings.model_copy(update={"observed": {"model_file_type": "Q4_1"}})
    known = result.model_copy(update={"spec": spec, "settings": settings})
    nothing = settings.model_copy(update={"observed": {}})
    unknown = result.model_copy(update={"spec": {}, "settings": nothing})
    weights = measurements_table([known, unknown])["weights"]
    assert weights.isna().tolist() == [False, True]
    assert weights[0] == "gguf Q4_1"


def test_state_of_the_counted_devices_is_the_hottest_and_the_slowest():
    def device(name, *, counted=True, **state):
        plain = dict.fromkeys(DeviceState.model_fields) | {"performance_states": [0]}
        plain |= {"throttle_reasons": []}
        return DeviceEnergy(
            **dict.fromkeys(DeviceEnergy.model_fields)
            | {"device": name, "scope": "gpu_board", "counted": counted}
            | {"state": DeviceState(**plain | state)}
        )

    result = make_results.make_result(metered=True)
    devices = [
        device("a", temperature_mean_celsius=60.0, temperature_max_celsius=70.0),
        device("b", temperature_mean_celsius=50.0, throttle_reasons=["software_power_cap"]),
        device("c", counted=False, temperature_mean_celsius=90.0),
    ]
    energy = result.energy.model_copy(update={"devices": devices})
    row = measurements_table([result.model_copy(update={"energy": energy})]).iloc[0]
    assert (row["temperature_mean_celsius"], row["temperature_max_celsius"]) == (55.0, 70.0)
    assert row["throttle_reasons"] == "software_power_cap"
    assert pd.isna(row["sm_clock_mean_mhz"])


def test_what_ran_before_is_named_controls_included():
    results = [make_results.make_result(n, position=i) for i, n in enumerate(("a", "b", "c"))]
    table = measurements_table([results[0], results[2]], everything=results)
    assert table["predecessor"].isna().tolist() == [True, False]
    assert table["predecessor"][1] == "b"
