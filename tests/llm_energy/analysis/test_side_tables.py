"""Tables from side files for figures: power over time, and distributions of latencies."""

import numpy as np
import pytest
from tests.llm_energy import make_results, make_side_files
from tests.llm_energy.make_results import put_result

from llm_energy.analysis.aggregate import aggregate
from llm_energy.analysis.side_tables import MOST_POINTS, latency_table
from llm_energy.measurement.window import latency
from llm_energy.power.series_file import read_series
from llm_energy.results.layout import result_path, side_path
from llm_energy.results.result import read_result


def test_power_holds_every_measurement_with_its_phases(summary_of):
    power = summary_of(metered=True, side_files=True).power
    assert len(power) == 12
    row = power.iloc[0]
    assert list(row["phases"]) == ["load", "idle", "warmup", "window", "tail"]
    assert row["phase_starts_s"][3] == 0.0
    assert len(row["least_watts"]) == len(row["greatest_watts"]) <= MOST_POINTS
    assert np.all(np.asarray(row["least_watts"]) <= np.asarray(row["greatest_watts"]))


def test_no_extreme_is_lost_by_thinning(tmp_path, summary_of):
    summary = summary_of(metered=True, side_files=True)
    for row in summary.power.to_dict("records")[:3]:
        path = side_path(result_path(row["spec_hash"], row["cycle"]), "series")
        series = read_series(tmp_path / path)
        values = series.samples(series.devices[0], row["quantity"]).values
        assert min(row["least_watts"]) == min(values)
        assert max(row["greatest_watts"]) == max(values)


def test_without_a_meter_there_is_no_power(summary_of):
    assert summary_of(side_files=True).power.empty


def test_latencies_are_counted_as_the_percentiles_of_a_result_count_them(tmp_path):
    result = make_side_files.with_side_files(tmp_path, make_results.make_result())
    path = make_results.path_of(result)
    put_result(tmp_path / path, result)
    summary = aggregate(tmp_path, planned=[path], design=make_results.design())
    start, end = result.window.start_monotonic_s, result.window.end_monotonic_s
    expected = latency(make_side_files.requests_of(result), start=start, end=end)
    for name in ("time_to_first_token", "inter_token_latency"):
        own = summary.latencies[summary.latencies["latency"] == name]
        distribution = getattr(expected, f"{name}_s")
        assert own["count"].sum() == distribution.count
        middle = own["high_s"][own["count"].cumsum() >= own["count"].sum() / 2].iloc[0]
        assert middle == pytest.approx(distribution.p50, rel=0.03)


def test_answers_that_came_whole_have_no_latencies_of_tokens(tmp_path):
    result = make_side_files.with_side_files(tmp_path, make_results.make_result())
    assert set(latency_table(tmp_path, [result], ())["latency"]) == {
        "time_to_first_token",
        "inter_token_latency",
    }
    whole = result.spec | {"backend": {"server": {"streams": False}}}
    assert latency_table(tmp_path, [result.model_copy(update={"spec": whole})], ()).empty


def test_a_side_file_that_is_not_what_it_was_is_left_out(tmp_path):
    planned = make_results.make_campaign(tmp_path, metered=True, side_files=True, cycles=1)
    first = read_result(tmp_path / planned[0])
    (tmp_path / first.side_files["series"].path).write_bytes(b"other")
    (tmp_path / first.side_files["requests"].path).unlink()
    summary = aggregate(tmp_path, planned=planned, design=make_results.design(cycles=1))
    assert len(summary.power) == 3
    assert first.experiment not in set(summary.latencies["experiment"])
