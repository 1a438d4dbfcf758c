"""The outcome of a load holds for every other load of the same engine in the same run."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.llm_energy.make_campaigns import load, make_checkout

from llm_energy.backends.runtime import BackendError
from llm_energy.backends.session import EngineReportedError
from llm_energy.measurement.job import ExperimentRecord, Job
from llm_energy.measurement.known_loads import noted, refuse
from llm_energy.runs.run import Run
from llm_energy.runs.run_parts import create_part

SCRIPTS = Path(__file__).parents[3] / "scripts"


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> ExperimentRecord:
    campaign = load(make_checkout(tmp_path_factory.mktemp("checkout")))
    return replace(ExperimentRecord.of(campaign, campaign.experiments[0]), name="big")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    monkeypatch.chdir(tmp_path)
    run = Run.create(campaign="c", results=Path("results/c"), scripts=SCRIPTS)
    (run.folder / "plan.json").write_text("[]")
    yield run
    run.remove()


def job_of(experiment: ExperimentRecord, cycle: int = 1, key: str = "k1") -> Job:
    return Job(replace(experiment, engine_key=key), cycle, cycle, 1, "measurements/a/cycle-01.json")


def fail(run: Run, job: Job, reason: str, message: str = "no such option") -> None:
    with pytest.raises(BackendError), noted(run, job):
        raise EngineReportedError(reason, message, phase="load")


@pytest.mark.parametrize(
    "reason", ["engine_error", "out_of_memory", "server_not_started", "server_unfit"]
)
def test_one_load_is_enough_and_the_others_name_it(run, experiment, reason):
    refuse(run, job_of(experiment))
    fail(run, job_of(experiment), reason)
    for cycle in (2, 3):
        with pytest.raises(EngineReportedError) as refused:
            refuse(run, job_of(experiment, cycle))
        assert (refused.value.reason, refused.value.phase) == (reason, "load")
        assert str(refused.value) == (
            "no such option (found by big cycle 1 in this run, and not tried again)"
        )


def test_an_outcome_is_not_refused(run, experiment):
    """`measure` makes a result of it, with all that is known without an engine."""
    fail(run, job_of(experiment), "out_of_memory")
    refuse(run, job_of(experiment, 2), outcomes={"out_of_memory"})


def test_an_engine_that_is_loaded_otherwise_is_tried(run, experiment):
    fail(run, job_of(experiment), "engine_error")
    refuse(run, job_of(experiment, key="k2"))


@pytest.mark.parametrize(
    "reason", ["engine_died", "deadline_exceeded", "server_overloaded", "server_ended", "stopping"]
)
def test_what_may_go_well_another_time_is_tried_again(run, experiment, reason):
    fail(run, job_of(experiment), reason)
    refuse(run, job_of(experiment, 2))


def test_what_was_lost_is_no_outcome_of_a_load(run, experiment):
    with pytest.raises(BackendError), noted(run, job_of(experiment)):
        raise BackendError("backend_lost", "the connection broke")
    fail(run, job_of(experiment, 2), "engine_error")
    with pytest.raises(EngineReportedError, match="found by big cycle 2"):
        refuse(run, job_of(experiment, 3))


def test_an_engine_that_was_loaded_once_is_always_tried(run, experiment):
    with noted(run, job_of(experiment)):
        pass
    fail(run, job_of(experiment, 2), "out_of_memory")
    refuse(run, job_of(experiment, 3))


def test_a_set_of_gpus_does_not_fail_for_another_but_a_server_is_unfit_on_all(run, experiment):
    one, other = (create_part(run, name, scripts=SCRIPTS) for name in ("set1", "set2"))
    for reason in ("engine_error", "server_not_started"):
        fail(one, job_of(experiment, key=reason), reason, "CUDA error: uncorrectable ECC error")
        refuse(other, job_of(experiment, 2, key=reason))
        with pytest.raises(EngineReportedError):
            refuse(one, job_of(experiment, 3, key=reason))
    fail(one, job_of(experiment, key="k2"), "server_unfit")
    with pytest.raises(EngineReportedError):
        refuse(other, job_of(experiment, 2, key="k2"))
    for part in (one, other):
        part.remove()
