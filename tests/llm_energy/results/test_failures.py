"""Every failed attempt keeps its own record; none is ever overwritten."""

import json

import pytest
from tests import damaged

from llm_energy.results import failures

RESULT = "measurements/sweep_batch4/0123456789ab/cycle-02.json"


def test_attempts_are_numbered_from_one_without_overwriting(tmp_path):
    for expected in (1, 2, 3):
        attempt = failures.next_attempt(tmp_path, RESULT)
        assert attempt == expected
        failures.write_failure(tmp_path, RESULT, attempt, {"reason": "engine_died"})
    names = sorted(path.name for path in tmp_path.rglob("*.json"))
    assert names == [f"cycle-02.attempt-{n}.json" for n in (1, 2, 3)]


def test_a_record_lies_where_its_result_would(tmp_path):
    path = failures.write_failure(tmp_path, RESULT, 1, {"reason": "engine_died"})
    assert path.parent == tmp_path / "failures" / "sweep_batch4" / "0123456789ab"
    assert json.loads(path.read_text()) == {"reason": "engine_died"}


def test_only_faults_of_the_infrastructure_are_tried_again():
    assert "backend_lost" in failures.RETRIED
    assert not failures.RETRIED & {"out_of_memory", "engine_error", "bad_request"}


@pytest.mark.parametrize("harm", [*damaged.NO_FILE, *damaged.NO_RECORD], ids=lambda h: h.__name__)
def test_a_damaged_record_is_named_as_such(tmp_path, harm):
    path = failures.write_failure(tmp_path, RESULT, 1, {"reason": "engine_died"})
    assert failures.reason_of(path) == "engine_died"
    damaged.replace(path, harm)
    assert failures.reason_of(path) == "its record is damaged"
