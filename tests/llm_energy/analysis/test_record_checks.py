"""Checks of one result against the records of its campaign, here of an earlier protocol."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from llm_energy.analysis.record_checks import Records, record_differences
from llm_energy.results.result import read_result

EARLIER = Path(__file__).parents[1] / "protocol_2"
RESULT = next(EARLIER.glob("measurements/*/cycle-01.json"))

ALTERED = {
    "environment.host": "its host is other, the record of its run has vm",
    "environment.run_id": "its run_id is other, the record of its run has 20261125T223535-17a53378",
    "environment.code_digest": "its code_digest is other, the record of its run has ",
    "environment.device_model": "its device_model is not the CPU of the record of its run",
    "environment.engine_version": "its environment, engine version or image is in no record of an "
    "environment",
    "environment.packages_sha256": "its environment.packages_sha256 is that of no package list",
    "environment.model_sha256": "its model with its environment.model_sha256 is in no record of a "
    "model",
    "prompts.sha256": "its prompts.sha256 is that of no record of prompts",
    "prompts.count": "its prompts.count is 9, their record has 4",
    "prompts.mean_input_tokens": "its prompts.mean_input_tokens is not the mean of the record of "
    "its prompts",
}
NUMBERS = {"prompts.count": 9, "prompts.mean_input_tokens": 50.0}


def altered(name, value):
    part, key = name.split(".")
    result = read_result(RESULT)
    changed = getattr(result, part).model_copy(update={key: value})
    return result.model_copy(update={part: changed})


def test_a_result_is_of_its_records():
    records = Records.read(EARLIER)
    for path in EARLIER.glob("measurements/*/*.json"):
        assert list(record_differences(records, read_result(path))) == []


@pytest.mark.parametrize("name", ALTERED)
def test_another_value_is_named(name):
    result = altered(name, NUMBERS.get(name, "other"))
    (found,) = record_differences(Records.read(EARLIER), result)
    assert found.startswith(ALTERED[name])


def test_it_cannot_start_before_its_run():
    result = read_result(RESULT).model_copy(update={"started": "2026-11-25T22:00:00+00:00"})
    (found,) = record_differences(Records.read(EARLIER), result)
    assert found == "it started before its run"


def test_records_that_are_gone_or_damaged_are_not_compared(tmp_path):
    assert list(record_differences(Records.read(tmp_path), read_result(RESULT))) == []
    shutil.copytree(EARLIER / "runs", tmp_path / "runs")
    for path in tmp_path.glob("runs/*.json"):
        path.write_text("{")
    assert list(record_differences(Records.read(tmp_path), read_result(RESULT))) == []


def test_a_gpu_of_another_set_than_that_of_its_run_is_named():
    result = altered("environment.device_uuids", ["GPU-2"])
    records = Records.read(EARLIER)
    runs = [{**run, "device_uuids": ["GPU-1"]} for run in records.runs]
    (found,) = record_differences(replace(records, runs=runs), result)
    assert found == "its device_uuids are not of the set of its run, GPU-1"
