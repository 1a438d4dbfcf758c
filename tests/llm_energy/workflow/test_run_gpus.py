"""The GPUs that a run has for itself."""

import os
from dataclasses import replace
from types import SimpleNamespace

import pytest
from tests.nvml_simulator.scenario import GPU_LOST, Fault, Gpu, with_uuid

from llm_energy.campaign.backend_settings import BackendConfig
from llm_energy.campaign.parallel_settings import Parallel
from llm_energy.preflight.gpus import ask_gpus
from llm_energy.workflow.run_gpus import foreign_processes, gpus_of_run

BOARDS = [with_uuid(Gpu(), number) for number in (1, 2, 3)]
FIRST, SECOND, THIRD = (board.uuid for board in BOARDS)
IN_CONTAINER = {"runtime": "docker", "container": {"gpus": [SECOND]}}
ATTACHED = {"server": {"tokenizer": "toy", "url": "http://127.0.0.1:8000", "gpus": [THIRD]}}


def campaign(parallel=None, *, on_gpu=True, **backends):
    return SimpleNamespace(
        parallel=parallel,
        backends={name: BackendConfig.model_validate(each) for name, each in backends.items()},
        measurement=SimpleNamespace(on_gpu=on_gpu),
    )


@pytest.mark.parametrize(
    ("backends", "expected"),
    [
        ({"toy": {}}, {FIRST, SECOND, THIRD}),
        ({"toy": {"runtime": "docker", "container": {"gpus": 1}}}, {FIRST, SECOND, THIRD}),
        ({"toy": IN_CONTAINER}, {SECOND}),
        ({"toy": ATTACHED}, {THIRD}),
        ({"toy": IN_CONTAINER, "other": ATTACHED}, {SECOND, THIRD}),
        ({"toy": IN_CONTAINER, "other": {}}, {FIRST, SECOND, THIRD}),
    ],
)
def test_they_are_all_that_its_engines_may_use(backends, expected, simulate):
    simulate(*BOARDS)
    assert gpus_of_run(campaign(**backends), backends, ask_gpus()) == expected


def test_they_are_those_of_its_sets(simulate):
    simulate(*BOARDS)
    parallel = Parallel(devices=[FIRST, THIRD])
    assert gpus_of_run(campaign(parallel, toy={}), ["toy"], ask_gpus()) == {FIRST, THIRD}
    parallel = Parallel(devices_per_measurement=2)  # one GPU is left over
    assert gpus_of_run(campaign(parallel, toy={}), ["toy"], ask_gpus()) == {FIRST, SECOND}


def test_one_that_is_lost_is_none_of_them(simulate):
    simulate(BOARDS[0], replace(BOARDS[1], faults=(Fault("handle", GPU_LOST),)), BOARDS[2])
    assert gpus_of_run(campaign(toy={}), ["toy"], ask_gpus()) == {FIRST, THIRD}


def test_on_the_cpu_there_are_none(simulate):
    simulate(*BOARDS)
    assert gpus_of_run(campaign(on_gpu=False, toy={}), ["toy"], ask_gpus()) == set()


def test_where_no_driver_answers_there_are_none(tmp_path, monkeypatch):
    monkeypatch.setenv("NVML_SIMULATOR_SCENARIO", str(tmp_path / "none"))
    assert gpus_of_run(campaign(toy={}), ["toy"], ask_gpus()) == set()


def test_who_computes_on_its_gpus_is_named(simulate):
    mine, gone = (os.getpid(), 0.0, 1e9), (4711, -2.0, -1.0)
    busy = [replace(board, processes=(mine,)) for board in BOARDS[:2]]
    simulate(*busy, replace(BOARDS[2], processes=(gone,)))
    (line,) = foreign_processes({SECOND, THIRD})
    assert line.startswith(f"{SECOND}: ")
    assert f" ({os.getpid()}) computes there; end it, or its measurements fail" in line
    assert foreign_processes(set()) == []
