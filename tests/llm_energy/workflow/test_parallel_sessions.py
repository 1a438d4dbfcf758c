"""Sessions on two sets of GPUs, with real supervisors: what they get, and that all of it ends."""

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.llm_energy.make_results import make_result, put_result
from tests.nvml_simulator.scenario import Gpu, with_uuid

from llm_energy.backends import health
from llm_energy.backends.container import run_options
from llm_energy.backends.running import end_run, known_backend
from llm_energy.backends.runtime import (
    SCRIPTS,
    ContainerSettings,
    DeclaredBackend,
    ReadyEnvironment,
)
from llm_energy.campaign.backend_settings import Container
from llm_energy.campaign.parallel_settings import Parallel
from llm_energy.containers.engine import EngineKind
from llm_energy.measurement.set_failure import gives_up_set
from llm_energy.runs.run import Run
from llm_energy.runs.run_parts import others_left, run_of_block, set_runs
from llm_energy.runs.run_records import DeviceSet, Spread
from llm_energy.system.cache import environment_marker
from llm_energy.system.processes import ProcessId
from llm_energy.workflow.begun_blocks import begun_blocks
from llm_energy.workflow.parallel_sessions import open_sessions, spread_over, start_backends

FIRST, SECOND = with_uuid(Gpu(), 1), with_uuid(Gpu(), 2)
SETS = (DeviceSet((FIRST.uuid,), cpus=(0,)), DeviceSet((SECOND.uuid,)))
PLANNED = [SimpleNamespace(cycle=c, result_path=f"measurements/cycle-{c}.json") for c in (1, 2, 3)]


def campaign(**parallel):
    return SimpleNamespace(
        parallel=Parallel.model_validate(parallel),
        measurement=SimpleNamespace(device="gpu"),
        schedule=PLANNED,
    )


@pytest.fixture
def whole(tmp_path, monkeypatch):
    """A run with a backend whose supervisor needs Python alone."""
    monkeypatch.chdir(tmp_path)
    ready = ReadyEnvironment(sys.executable, "3", "0", {}, "0")
    marker = environment_marker("bare")
    marker.parent.mkdir(parents=True)
    marker.write_text(json.dumps(vars(ready) | {"kind": "interpreter"}))
    run = Run.create(campaign="nap", results=Path("results/nap"), scripts=SCRIPTS)
    container = ContainerSettings(**Container(gpus="all").model_dump())
    run.write("declared/bare", DeclaredBackend("bare", "process", "bare", container, ()))
    run.write("plan", [])
    yield run
    end_run(run)
    assert Run.all() == []


def opened(run, **parallel):
    begun = begun_blocks(campaign(), run.results, cycles={1, 2, 3})
    spread = spread_over(SETS, campaign(**parallel), begun, at_once=2)
    return open_sessions(run, spread, scripts=SCRIPTS)


def supervisor(part):
    return ProcessId.from_json(known_backend(part, "bare").handle["process"])


def test_each_set_has_backends_that_see_its_gpus_and_run_near_them(whole):
    parts = opened(whole)
    assert parts == set_runs(whole)
    start_backends(parts, ["bare"])
    seen = []
    for part in parts:
        variables = Path(f"/proc/{supervisor(part).pid}/environ").read_bytes().split(b"\0")
        seen += [text for text in variables if text.startswith(b"CUDA_VISIBLE_DEVICES=")]
    uuids = [SECOND.uuid if part == parts[1] else FIRST.uuid for part in parts]
    assert seen == [f"CUDA_VISIBLE_DEVICES={uuid}".encode() for uuid in uuids]
    assert os.sched_getaffinity(supervisor(parts[0]).pid) == {0}
    assert os.sched_getaffinity(supervisor(parts[1]).pid) == os.sched_getaffinity(0)


def test_with_the_run_everything_of_its_sets_ends(whole):
    parts = opened(whole)
    start_backends(parts, ["bare"])
    processes = [supervisor(part) for part in parts]
    processes += [part.read("watchdog", ProcessId) for part in parts]
    assert all(process.alive() for process in processes)
    end_run(whole)
    assert not any(process.alive() for process in processes)
    kept = sorted(path.stem for path in Path("results/nap/runs").glob("*.json"))
    assert kept == [whole.run_id, f"{whole.run_id}-set1", f"{whole.run_id}-set2"]


def test_a_container_gets_the_gpus_and_cpus_of_its_set(whole):
    first, second = opened(whole)
    declared = first.read("declared/bare", DeclaredBackend)
    options = run_options(declared, "python3", first, kind=EngineKind(podman=False, rootless=False))
    (request,) = options["device_requests"]
    assert request["DeviceIDs"] == [FIRST.uuid]
    assert options["cpuset_cpus"] == "0"
    declared = second.read("declared/bare", DeclaredBackend)
    other = run_options(declared, "python3", second, kind=EngineKind(podman=False, rootless=False))
    assert other["cpuset_cpus"] is None
    assert other["name"] != options["name"]


def test_a_block_that_was_begun_goes_on_on_its_gpus(whole):
    result = make_result()
    there = result.environment.model_copy(update={"device_uuids": [SECOND.uuid]})
    result = result.model_copy(update={"environment": there})
    put_result(whole.results / PLANNED[0].result_path, result)
    first, second = opened(whole)
    assert run_of_block(whole, 1) == second
    assert run_of_block(whole, 2) == second
    assert run_of_block(whole, 3) == first
    assert whole.read("spread", Spread).begun == {"1": 1}


def fail(part, times, reason="backend_lost"):
    for _ in range(times):
        health.note_failure(part, "bare", reason)


def test_a_set_without_its_gpu_is_given_up_while_another_is_left(whole, simulate):
    first, second = opened(whole)
    simulate(FIRST, SECOND)
    assert not gives_up_set(whole, first, "bare", "engine_died")
    simulate(SECOND)
    assert gives_up_set(whole, first, "bare", "engine_died")
    assert others_left(whole, second) == []
    simulate(replace(FIRST, uuid="GPU-other"))
    assert not gives_up_set(whole, second, "bare", "gpu_lost")
    assert [event["reason"] for event in whole.events()] == ["gpu_lost"]


def test_a_backend_that_fails_on_one_set_alone_gives_the_set_up(whole, simulate):
    first, _ = opened(whole)
    simulate(FIRST, SECOND)
    fail(first, health.LIMIT - 1)
    assert not gives_up_set(whole, first, "bare", "backend_lost")
    fail(first, 1)
    assert gives_up_set(whole, first, "bare", "backend_lost")


def test_a_backend_that_fails_on_several_sets_is_at_fault_itself(whole, simulate):
    first, second = opened(whole)
    simulate(FIRST, SECOND)
    fail(second, 1)
    fail(first, health.LIMIT)
    assert not gives_up_set(whole, first, "bare", "backend_lost")


def test_a_run_without_sets_gives_none_up(whole):
    assert not gives_up_set(whole, whole, "bare", "gpu_lost")
