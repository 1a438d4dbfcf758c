"""The record of an experiment: as a run writes it, its jobs read it and the worker gets it."""

import json
from dataclasses import replace

import pytest
from tests.llm_energy.make_campaigns import load, make_checkout

from llm_energy.backends.session import OPERATION, Session
from llm_energy.measurement.job import ExperimentRecord, Job
from llm_energy.runs.run import Run
from worker.protocol import Hello, Load, Measure, Request, Steady, Unload, parse_request


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    campaign = load(make_checkout(tmp_path_factory.mktemp("checkout")))
    return ExperimentRecord.of(campaign, campaign.experiments[0])


def test_a_job_reads_what_the_run_wrote(experiment, tmp_path):
    (tmp_path / "experiments").mkdir()
    Run(tmp_path).write("experiments/e", experiment)
    assert Run(tmp_path).read("experiments/e", ExperimentRecord) == experiment


def test_a_record_with_another_key_is_refused_with_its_place(experiment, tmp_path):
    content = json.loads(json.dumps(experiment, default=vars))
    content["workload"]["batchsize"] = content["workload"].pop("batch_size")
    Run(tmp_path).write("e", content)
    with pytest.raises(ValueError, match=r"e\.workload\.batchsize: unknown key"):
        Run(tmp_path).read("e", ExperimentRecord)


class Recorder:
    """A supervisor that answers everything at once and keeps what it was sent."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def send(self, line: bytes) -> None:
        self.lines.append(line)

    def receive(self, _timeout_s: float) -> bytes:
        return b'{"event": "done", "final": true}'

    def close(self) -> None: ...


def test_the_worker_reads_the_requests_that_the_host_sends(experiment):
    workload = replace(experiment.workload, prompts=((1, 2), (3,)))
    requests: list[Request] = [
        Load(900.0, "key", experiment.engine),
        Measure(60.0, workload),
        Unload(),
    ]
    supervisor = Recorder()
    with Session(supervisor) as session:
        for request in requests:
            session.request(request)
        session.send(Steady(True))
    hello, *sent = map(parse_request, supervisor.lines)
    assert isinstance(hello, Hello)
    assert sent == [*requests, Steady(True)]
    assert {type(request) for request in (hello, *sent)} <= set(OPERATION)


@pytest.mark.parametrize(
    ("isolation", "same_cycle", "same_campaign"),
    [("measurement", False, False), ("cycle", True, False), ("campaign", True, True)],
)
def test_isolation_says_who_shares_an_engine_process(
    experiment, isolation, same_cycle, same_campaign
):
    first = Job(replace(experiment, isolation=isolation), 1, 0, 1, "r")
    other = replace(experiment, isolation=isolation, spec_hash="other")
    assert (first.engine_key == Job(other, 1, 1, 1, "r").engine_key) == same_cycle
    assert (first.engine_key == Job(other, 2, 5, 1, "r").engine_key) == same_campaign
