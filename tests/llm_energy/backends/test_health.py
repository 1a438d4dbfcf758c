"""A backend whose infrastructure fails again and again is given up; others are not."""

from pathlib import Path

import pytest

from llm_energy.backends import health
from llm_energy.backends.runtime import BackendError
from llm_energy.results.failures import BACKOFF_S
from llm_energy.runs.run import Run

SCRIPTS = Path(__file__).parents[3] / "scripts"


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = Run.create(campaign="c", results=Path("results/c"), scripts=SCRIPTS)
    yield run
    run.remove()


def fail(run, times, backend="vllm", reason="backend_lost"):
    for _ in range(times):
        health.note_failure(run, backend, reason)


def test_after_the_last_failure_in_a_row_a_backend_is_refused_at_once(run):
    fail(run, health.LIMIT - 1)
    health.refuse_broken(run, "vllm")
    fail(run, 1)
    with pytest.raises(BackendError, match=r"`vllm` failed 6 times in a row \(last: backend_lost"):
        health.refuse_broken(run, "vllm")
    assert [(e["kind"], e["backend"]) for e in run.events()] == [("backend_given_up", "vllm")]


def test_other_backends_go_on(run):
    fail(run, health.LIMIT)
    health.refuse_broken(run, "pytorch")


def test_a_success_clears_what_was_before(run):
    fail(run, health.LIMIT - 1)
    health.note_success(run, "vllm")
    fail(run, health.LIMIT - 1)
    health.refuse_broken(run, "vllm")


def test_what_the_engine_itself_reports_is_no_fault_of_the_infrastructure(run):
    fail(run, health.LIMIT, reason="engine_error")
    assert not health.given_up(run, "vllm")


def test_a_docker_engine_that_stays_away_costs_one_measurement_its_attempts(run):
    fail(run, len(BACKOFF_S) + 1, reason="docker_unreachable")
    with pytest.raises(BackendError, match=r"`vllm` failed 3 times in a row \(last: docker_"):
        health.refuse_broken(run, "vllm")
    assert len(list(run.events())) == 1
