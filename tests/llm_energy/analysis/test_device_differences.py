"""Devices against each other, with differences that are put in."""

import random
from dataclasses import replace

import pytest
from tests.llm_energy import make_results

from llm_energy.analysis.device_differences import device_differences
from llm_energy.analysis.experiments_table import experiments_table
from llm_energy.analysis.measurements_table import measurements_table
from llm_energy.report.device_section import device_notices, devices_table
from llm_energy.report.page import render_page

LEVELS = {"fast": 1.0, "slow": 0.5}


def table(factors, *, cycles=12, scatter=0.002):
    """Measurements of two experiments in each cycle; cycles go round the devices."""
    chance, results = random.Random(3), []
    devices = list(factors)
    for cycle in range(1, cycles + 1):
        device = devices[(cycle - 1) % len(devices)]
        for name, level in LEVELS.items():
            value = 100.0 * level * factors[device] * (1.0 + chance.gauss(0.0, scatter))
            result = make_results.make_result(name, cycle=cycle, output_tokens_per_second=value)
            place = result.environment.model_copy(
                update={"device_uuids": [device], "session_id": device}
            )
            results.append(result.model_copy(update={"environment": place}))
    return measurements_table(results)


def throughput(measurements, **options):
    found = device_differences(measurements, margin=options.get("margin", 0.02))
    return {f.device: f for f in found if f.metric == "output_tokens_per_second"}


def test_a_device_that_is_slower_is_named_and_no_other():
    found = throughput(table({"a": 1.0, "b": 1.0, "c": 0.9, "d": 1.0}))
    assert [name for name, one in found.items() if one.stands_out] == ["c"]
    assert found["c"].ratio == pytest.approx(0.9, rel=0.005)
    assert found["c"].low < 0.9 < found["c"].high
    assert (found["c"].cycles, found["c"].others) == (3, 3)


def test_a_difference_within_the_margin_does_not_stand_out():
    measurements = table({"a": 1.0, "b": 1.0, "c": 0.99, "d": 1.0})
    assert not any(one.stands_out for one in throughput(measurements).values())
    assert throughput(measurements, margin=0.001)["c"].stands_out


def test_a_difference_that_chance_explains_does_not_stand_out():
    found = throughput(table(dict.fromkeys("abcd", 1.0), scatter=0.1))
    assert not any(one.stands_out for one in found.values())


def test_with_one_cycle_on_each_device_there_is_no_interval():
    found = throughput(table({"a": 1.0, "b": 0.5}, cycles=2))
    assert {(one.low, one.stands_out) for one in found.values()} == {(None, False)}
    assert found["b"].ratio == pytest.approx(0.5, rel=0.02)


def test_one_device_is_compared_with_nothing():
    assert device_differences(table({"a": 1.0}), margin=0.02) == []


def test_the_interval_of_a_mean_holds_the_spread_between_devices():
    rows = experiments_table(table({"a": 1.0, "b": 1.1, "c": 0.9, "d": 1.0}))
    row = rows[
        (rows["metric"] == "output_tokens_per_second") & (rows["experiment"] == "fast")
    ].iloc[0]
    assert (row["interval_rule"], row["devices"]) == ("t_devices", 4)
    assert row["between_devices_standard_deviation"] == pytest.approx(8.16, rel=0.02)
    assert row["t_high"] - row["mean"] == pytest.approx(3.182 * 8.165 / 2, rel=0.02)


def test_the_page_shows_devices_and_names_the_one_that_stands_out_at_its_head(summary_of):
    summary = summary_of(cycles=3)
    assert devices_table(summary) is None
    found = device_differences(table({"a": 1.0, "b": 1.0, "c": 0.9, "d": 1.0}), margin=0.02)
    findings = summary.findings.model_copy(update={"device_differences": found})
    summary = replace(summary, findings=findings)
    (notice,) = device_notices(summary)
    assert notice.startswith("Throughput on c stands out: −10.0")
    assert "against the median of 3 other devices of the model Synthetic CPU" in notice
    page = render_page(summary, [], partial=False)
    assert notice in page
    assert 'id="devices"' in page
